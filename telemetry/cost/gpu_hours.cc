#include "telemetry/cost/gpu_hours.h"

#include "base/check.h"
#include "base/clock.h"

namespace touchstone::telemetry {
namespace {

__extension__ using Wide = __int128;  // money times nanoseconds

constexpr int64_t kHourNs = 3600 * kNsPerSecond;

}  // namespace

std::map<uint64_t, int64_t> busy_time(const records::StepLog& log) {
  std::map<uint64_t, int64_t> busy;
  for (const records::StepRecord& step : log.steps) {
    int64_t tokens = 0;
    for (const records::StepEntry& entry : step.requests) tokens += entry.scheduled;
    if (tokens <= 0) continue;
    // The nanosecond at which each share begins and ends is rounded down: none is lost.
    int64_t before = 0;
    for (const records::StepEntry& entry : step.requests) {
      const auto at = [&](int64_t count) {
        return static_cast<int64_t>(Wide{step.duration_ns} * count / tokens);
      };
      busy[entry.id] += at(before + entry.scheduled) - at(before);
      before += entry.scheduled;
    }
  }
  return busy;
}

std::optional<Cost> parse_usd(std::string_view text) {
  constexpr int64_t kStepsPerE8 = 10'000'000;  // parse_price() gives 10^-15 USD
  const auto steps = parse_price(text, 1);
  if (!steps || *steps % kStepsPerE8 != 0) return std::nullopt;
  return Cost{*steps / kStepsPerE8};
}

Cost cost_of_time(const Cost& hour, int64_t ns) {
  BASE_CHECK(hour.e8 >= 0 && ns >= 0, hour.e8, " ", ns);
  const Wide product = Wide{hour.e8} * ns;
  auto e8 = static_cast<int64_t>(product / kHourNs);
  const Wide rest = 2 * (product % kHourNs);
  if (rest > kHourNs || (rest == kHourNs && e8 % 2 == 1)) ++e8;
  return {e8};
}

}  // namespace touchstone::telemetry
