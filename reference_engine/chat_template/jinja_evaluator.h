// Runs a parsed template. Bounded: steps, output and depth have limits, so a hostile template ends.
// Thread-compatible; the tree may be shared.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "reference_engine/chat_template/jinja_parser.h"

namespace touchstone::chat_template {

/// ERRORS: kInvalidArgument with the text of raise_exception, or the line and what went wrong.
/// `now`: Unix time in nanoseconds; without it strftime_now is undefined.
Result<std::string> evaluate(const Body& body, const Dict& context, std::optional<int64_t> now);

}  // namespace touchstone::chat_template
