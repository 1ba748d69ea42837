// The profiles that judge one run together. Thread-compatible.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "conformance/profile/profile.h"

namespace touchstone::conformance {

/// In order. ERRORS: those of load_profile(); kInvalidArgument for more than kProfilesMax and for
/// two of one name, whose findings nobody could tell apart.
Result<std::vector<Profile>> load_profiles(const std::vector<std::string>& names_or_paths);

}  // namespace touchstone::conformance
