// Whether a regular expression, or a grammar in EBNF, is too dear before it is parsed: counts its
// repetitions, one within the other, and its alternatives. Pure.
#pragma once

#include <string_view>

#include "base/result.h"
#include "reference_engine/grammar/limits.h"

namespace touchstone::grammar {

/// ERRORS: kInvalidArgument naming what there is too much of. What is malformed passes: the parser
/// knows better.
Status check_regex_cost(std::string_view regex, const GrammarLimits& limits);
Status check_ebnf_cost(std::string_view ebnf, const GrammarLimits& limits);

}  // namespace touchstone::grammar
