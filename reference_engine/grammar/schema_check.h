// What a JSON schema asks for that xgrammar 0.2.8 would leave out in silence, or with a warning
// that no client sees: refused by name, so that an answer that came through is what was asked for.
// Likewise what would be too dear. Pure. Source: xgrammar 0.2.8 cpp/json_schema_converter.cc, whose
// parser looks at one keyword of $ref, const, enum, anyOf, oneOf, allOf and type, in this order,
// and at no other beside it; vLLM 0.32 backend_xgrammar.py refuses some of the same.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "reference_engine/grammar/limits.h"

namespace touchstone::grammar {

/// ERRORS: kMalformed: no JSON object or boolean; kInvalidArgument: beyond the limits; kUnsupported
/// naming the keyword and its place.
Status check_schema(std::string_view schema, const GrammarLimits& limits);

/// The schemas and regular expressions in a description of tags.
Status check_structural_tag(std::string_view text, const GrammarLimits& limits);

}  // namespace touchstone::grammar
