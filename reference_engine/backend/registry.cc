#include "reference_engine/backend/registry.h"

#include "base/text.h"

namespace touchstone::backend {

std::vector<std::string> Registry::names() const {
  std::vector<std::string> names;
  for (const auto& factory : factories_) names.push_back(factory->name());
  return names;
}

Result<const BackendFactory*> Registry::choose(const std::string& name) const {
  std::vector<std::string> reasons;
  bool known = name == "auto";
  for (const auto& factory : factories_) {
    if (name != "auto" && name != factory->name()) continue;
    known = true;
    const Status usable = factory->probe();
    if (usable) return factory.get();
    reasons.push_back(factory->name() + ": " + usable.error().message);
  }
  if (!known) {
    return invalid_argument("--device: got " + quote(name) + ", expected auto or one of " +
                            join(names(), ", "));
  }
  return unavailable("--device " + name + ": no backend can run here: " + join(reasons, "; "));
}

}  // namespace touchstone::backend
