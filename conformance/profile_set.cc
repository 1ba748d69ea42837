#include "conformance/profile_set.h"

#include <utility>

#include "base/text.h"
#include "conformance/judge.h"

namespace touchstone::conformance {

Result<std::vector<Profile>> load_profiles(const std::vector<std::string>& names_or_paths) {
  if (names_or_paths.size() > kProfilesMax) {
    return invalid_argument("profiles: got " + std::to_string(names_or_paths.size()) +
                            ", expected at most " + std::to_string(kProfilesMax));
  }
  std::vector<Profile> profiles;
  for (const std::string& name : names_or_paths) {
    auto profile = load_profile(name);
    if (!profile) return std::move(profile).error();
    for (size_t i = 0; i < profiles.size(); ++i) {
      if (profiles[i].name != profile->name) continue;
      return invalid_argument("profiles: got " + quote(profile->name) + " twice, from " +
                              names_or_paths[i] + " and " + name +
                              ", expected names that are unique");
    }
    profiles.push_back(*std::move(profile));
  }
  return profiles;
}

}  // namespace touchstone::conformance
