// The entries of a zip archive whose content is stored as it is. Pure.
// Source: PKWARE APPNOTE.TXT 6.3.10, sections 4.3 to 4.5 (zip64 included).
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>

#include "base/result.h"

namespace touchstone::model {

/// By name; the contents borrow `file`.
using ZipEntries = std::map<std::string, std::span<const std::byte>>;

/// ERRORS: kMalformed; kUnsupported: an entry is compressed or encrypted.
Result<ZipEntries> read_stored_zip(const std::string& name, std::span<const std::byte> file);

}  // namespace touchstone::model
