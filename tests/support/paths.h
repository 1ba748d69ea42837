// Where the tests find the sources and the program. In one object file, so that the others do not
// depend on the checkout's place and compile once for all checkouts. Thread-safe.
#pragma once

#include <string>

namespace touchstone::support {

/// The root of the checkout, without a trailing slash.
std::string source_dir();
/// The program `touchstone` of this build.
std::string touchstone_binary();

}  // namespace touchstone::support
