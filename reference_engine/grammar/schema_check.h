// What a JSON schema asks for that xgrammar 0.2.8 would leave out in silence, or with a warning
// that no client sees: refused by name, so that an answer that came through is what was asked for.
// Pure. Source: xgrammar 0.2.8 cpp/json_schema_converter.cc; vLLM 0.32 backend_xgrammar.py refuses
// the same combinations.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace touchstone::grammar {

/// ERRORS: kMalformed: no JSON object or boolean; kInvalidArgument: nested deeper than `depth_max`;
/// kUnsupported naming the keyword and its place.
Status check_schema(std::string_view schema, int depth_max);

}  // namespace touchstone::grammar
