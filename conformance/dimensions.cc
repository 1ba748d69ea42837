#include "conformance/dimensions.h"

namespace touchstone::conformance {

const std::vector<Dimension>& sighting_dimensions() {
  static const std::vector<Dimension> kAll = {
      {"tenant", {"tenant.id", "llm.user", "enduser.id"}},
      {"model",
       {"gen_ai.response.model", "gen_ai.request.model", "gen_ai.model.id",
        "gen_ai.response.model_name", "llm.model"}},
      {"operation", {"gen_ai.operation.name"}},
  };
  return kAll;
}

}  // namespace touchstone::conformance
