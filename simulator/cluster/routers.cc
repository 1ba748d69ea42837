#include "base/text.h"
#include "simulator/cluster/router.h"

namespace touchstone::simulator {

const std::vector<RouterRow>& routers() {
  static const std::vector<RouterRow> table = {
      {"round-robin", "one after the other", &make_round_robin_router},
      {"random", "any, by chance", &make_random_router},
      {"least-requests", "fewest requests in flight", &make_least_requests_router},
      {"power-of-two", "the one of two at random with fewer requests in flight",
       &make_power_of_two_router},
      {"least-load", "fewest waiting and running as last reported, as vLLM's data parallelism",
       &make_least_load_router},
      {"least-kv", "most free KV blocks as last reported, less what was sent since",
       &make_least_kv_router},
      {"prefix", "the one that had most of the prompt, unless the load is uneven",
       &make_prefix_router},
      {"session", "the same for all turns of a session", &make_session_router},
  };
  return table;
}

Result<std::unique_ptr<Router>> make_router(std::string_view name, const RouterOptions& options) {
  std::vector<std::string> names;
  for (const RouterRow& row : routers()) {
    if (row.name == name) return row.make(options);
    names.emplace_back(row.name);
  }
  return invalid_argument("router: got " + quote(name) + ", expected one of " + join(names, ", "));
}

}  // namespace touchstone::simulator
