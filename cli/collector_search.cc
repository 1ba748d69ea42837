#include "cli/collector_search.h"

#include <cstdlib>
#include <utility>

namespace touchstone::cli {
namespace {

std::optional<std::string> variable(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return value;
}

}  // namespace

std::string cache_folder() {
  if (const auto cache = variable("XDG_CACHE_HOME")) return *cache + "/touchstone";
  return variable("HOME").value_or("/tmp") + "/.cache/touchstone";
}

harness::CollectorSearch collector_search(const std::string& flag) {
  harness::CollectorSearch search;
  if (!flag.empty()) search.flag = flag;
  search.environment = variable("TOUCHSTONE_COLLECTOR");
  search.path = variable("PATH").value_or("");
  search.cache = cache_folder();
  return search;
}

Result<std::unique_ptr<Supervisor>> Supervisor::start() {
  // The guard first: it must not inherit blocked signals or a watch on them.
  auto guard = harness::ProcessGuard::start();
  if (!guard) return std::move(guard).error();
  auto signals = harness::SignalWatch::start();
  if (!signals) return std::move(signals).error();
  return std::unique_ptr<Supervisor>(
      new Supervisor(std::move(*guard), std::move(*signals)));  // NOLINT: private constructor
}

Supervisor::Supervisor(std::unique_ptr<harness::ProcessGuard> guard,
                       std::unique_ptr<harness::SignalWatch> signals)
    : guard_(std::move(guard)),
      signals_(std::move(signals)),
      supervision_{clock_, signals_.get(), guard_.get()} {}

}  // namespace touchstone::cli
