#include "base/text.h"
#include "simulator/cluster/router.h"

namespace touchstone::simulator {

const std::vector<RouterRow>& routers() {
  static const std::vector<RouterRow> table = {
      {"round-robin", "one after the other", &make_round_robin_router},
      {"least-requests", "fewest requests in flight", &make_least_requests_router},
      {"least-load", "fewest waiting and running as last reported, as vLLM's data parallelism",
       &make_least_load_router},
  };
  return table;
}

Result<std::unique_ptr<Router>> make_router(std::string_view name) {
  std::vector<std::string> names;
  for (const RouterRow& row : routers()) {
    if (row.name == name) return row.make();
    names.emplace_back(row.name);
  }
  return invalid_argument("router: got " + quote(name) + ", expected one of " + join(names, ", "));
}

}  // namespace touchstone::simulator
