#include "telemetry/prometheus/adapter_info.h"

#include <algorithm>

#include "base/clock.h"
#include "base/text.h"
#include "telemetry/prometheus/registry.h"

namespace touchstone::telemetry {
namespace {

// Names come and go; those sets of them go that were not seen for longest.
constexpr size_t kSeriesMax = 1000;

}  // namespace

void AdapterInfo::on_step(const std::vector<std::string>& names, int64_t now_unix_ns) {
  const std::string joined = join(names, ",");
  if (seen_.size() >= kSeriesMax && !seen_.contains(joined)) {
    seen_.erase(std::ranges::min_element(seen_, {}, [](const auto& one) { return one.second; }));
  }
  seen_[joined] = to_seconds(now_unix_ns);
}

void AdapterInfo::render(std::string& page) const {
  PrometheusRegistry registry;
  const auto family =
      registry.add_family({PrometheusRegistry::Type::kGauge, "vllm:lora_requests_info",
                           "Running stats on lora requests."});
  for (const auto& [names, time_s] : seen_) {
    const Labels labels = {{"max_lora", std::to_string(max_loras_)},
                           {"running_lora_adapters", names},
                           {"waiting_lora_adapters", names}};
    registry.set(registry.add_series(family, labels, 0), time_s);
  }
  registry.render(registry.values(), page);
}

}  // namespace touchstone::telemetry
