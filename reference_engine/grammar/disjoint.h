// Whether at most one of several schemas can hold for any value, as far as that shows: `oneOf` asks
// for exactly one, and what is compiled asks for any. Pure.
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace touchstone::grammar {

/// True: no two of the array `schemas` hold for one value. False: they may.
bool are_disjoint(const nlohmann::json& schemas);

}  // namespace touchstone::grammar
