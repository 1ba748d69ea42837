#include "reference_engine/backend/registry.h"

#include "base/text.h"

namespace touchstone::backend {

std::vector<std::string> Registry::names() const {
  std::vector<std::string> names;
  for (const auto& factory : factories_) names.push_back(factory->name());
  return names;
}

Result<const BackendFactory*> Registry::choose(const std::string& name,
                                               std::vector<std::string>* passed_over) const {
  std::vector<std::string> reasons;
  std::string hint;  // the last one: for a name there is only one
  bool known = name == "auto";
  for (const auto& factory : factories_) {
    if (name != "auto" && name != factory->name()) continue;
    known = true;
    const Status usable = factory->probe();
    if (usable) {
      if (passed_over != nullptr) *passed_over = reasons;
      return factory.get();
    }
    reasons.push_back(factory->name() + ": " + usable.error().message);
    hint = usable.error().hint;
  }
  if (!known) {
    return invalid_argument("--device: got " + quote(name) + ", expected auto or one of " +
                            join(names(), ", "));
  }
  return unavailable("--device " + name + ": no backend can run here: " + join(reasons, "; "),
                     hint);
}

}  // namespace touchstone::backend
