// Runs a parsed template. Bounded: steps, output and depth have limits, so a hostile template ends.
// Thread-compatible; the tree may be shared.
#pragma once

#include <string>

#include "base/result.h"
#include "reference_engine/chat_template/jinja_parser.h"

namespace touchstone::chat_template {

/// ERRORS: kInvalidArgument with the text of raise_exception, or the line and what went wrong.
Result<std::string> evaluate(const Body& body, const Dict& context);

}  // namespace touchstone::chat_template
