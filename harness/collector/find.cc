#include "harness/collector/find.h"

#include <unistd.h>

#include <utility>

#include "base/text.h"
#include "harness/process/capture.h"

namespace touchstone::harness {
namespace {

constexpr int64_t kAskTimeoutNs = 30 * kNsPerSecond;

struct Candidate {
  std::string path;
  std::string found_by;
};

bool is_executable(const std::string& path) { return ::access(path.c_str(), X_OK) == 0; }

std::vector<Candidate> candidates(const CollectorSearch& search) {
  if (search.flag) return {{*search.flag, "--collector"}};
  if (search.environment) return {{*search.environment, "TOUCHSTONE_COLLECTOR"}};
  std::vector<Candidate> found;
  for (const char* name : {"otelcol", "otelcol-contrib"}) {
    for (const std::string& folder : split(search.path, ':')) {
      const std::string path = folder + "/" + name;
      if (!folder.empty() && is_executable(path)) {
        found.push_back({path, "PATH"});
        break;
      }
    }
  }
  const std::string cached = cached_collector_path(search.cache);
  if (is_executable(cached)) found.push_back({cached, "the cache"});
  return found;
}

}  // namespace

std::string cached_collector_path(const std::string& cache) {
  return cache + "/collector/" + kCollectorVersion + "/otelcol";
}

Result<CollectorBinary> inspect_collector(const std::string& path, const Supervision& supervision) {
  auto asked = run_and_capture({.name = "collector", .argv = {path, "components"}}, supervision,
                               kAskTimeoutNs);
  if (!asked) return std::move(asked).error();
  if (!asked->status.good()) {
    return unavailable(path + " components: ended with " + asked->status.text() + ": " +
                       std::string(trim(asked->errors)).substr(0, 300));
  }
  auto inventory = parse_inventory(asked->output);
  if (!inventory) return unavailable(path + ": " + inventory.error().message);
  return CollectorBinary{path, inventory->version, {}, std::move(inventory->components)};
}

Result<CollectorBinary> find_collector(const CollectorSearch& search, const Components& needed,
                                       const Supervision& supervision) {
  std::vector<std::string> refused;
  for (const Candidate& candidate : candidates(search)) {
    auto binary = inspect_collector(candidate.path, supervision);
    if (!binary && binary.error().code == ErrorCode::kCancelled) return std::move(binary).error();
    if (!binary) {
      refused.push_back(candidate.path + " (" + candidate.found_by +
                        "): " + binary.error().message);
      continue;
    }
    const std::set<std::string> missing = missing_components(needed, binary->components);
    if (missing.empty()) {
      binary->found_by = candidate.found_by;
      return binary;
    }
    refused.push_back(candidate.path + " (" + candidate.found_by + ", version " + binary->version +
                      ") lacks " + join({missing.begin(), missing.end()}, ", "));
  }
  const std::string looked = refused.empty()
                                 ? "none named otelcol or otelcol-contrib on PATH, none at " +
                                       cached_collector_path(search.cache)
                                 : join(refused, "; ");
  return unavailable("collector: no usable OpenTelemetry Collector: " + looked,
                     "run `touchstone collector build`, or name one with --collector PATH");
}

Status validate_collector_config(const CollectorBinary& collector, const std::string& config,
                                 const std::map<std::string, std::string>& environment,
                                 const Supervision& supervision) {
  const auto ran = run_and_capture({.name = "collector",
                                    .argv = {collector.path, "validate", "--config=" + config},
                                    .environment = environment},
                                   supervision, kAskTimeoutNs);
  if (!ran) return ran.error();
  if (ran->status.good()) return {};
  return invalid_argument(config + ": refused by otelcol " + collector.version + ": " +
                          std::string(trim(ran->errors)));
}

}  // namespace touchstone::harness
