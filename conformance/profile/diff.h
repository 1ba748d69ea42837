// What two profiles demand differently, rule by rule. Pure; thread-safe.
#pragma once

#include <string>
#include <vector>

#include "conformance/profile/profile.h"

namespace touchstone::conformance {

/// One rule that only one of two profiles has, or that both have and say differently.
struct ProfileDifference {
  std::string rule;    ///< "attribute gen_ai.request.n of llm_request"
  std::string before;  ///< what the first demands: "int, MUST, min 1, max 1"; empty: nothing
  std::string after;   ///< and the second
};

/// By rule, in the order of names. Reasons, briefs and places in files are no demand.
std::vector<ProfileDifference> diff(const Profile& before, const Profile& after);

}  // namespace touchstone::conformance
