#include "telemetry/prometheus/usage_metrics.h"

#include <algorithm>

#include "base/clock.h"
#include "telemetry/cost/billed_usage.h"

namespace touchstone::telemetry {
namespace {

using Type = PrometheusRegistry::Type;

constexpr char kOther[] = "other";

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

UsageMetrics::UsageMetrics(Options options)
    : options_(std::move(options)),
      tokens_(registry_.add_family({.type = Type::kCounter,
                                    .name = "llm_total_tokens",
                                    .help = "Prompt and completion tokens by model and tenant."})),
      limited_(registry_.add_family({.type = Type::kCounter,
                                     .name = "llm_rate_limited_requests",
                                     .help = "Requests refused by the tenant's rate limit."})) {
  if (options_.prices == nullptr) return;
  cost_ = registry_.add_family(
      {.type = Type::kCounter,
       .name = "llm_estimated_cost_usd",
       .help = "Cost of these tokens by the price table, each request rounded to 1e-08 USD."});
}

UsageMetrics::Series& UsageMetrics::series_of(const records::RequestRecord& record) {
  std::string tenant = record.tenant;
  if (!contains(tenants_, tenant)) {
    if (tenants_.size() < options_.tenants_max) {
      tenants_.push_back(tenant);
    } else {
      tenant = kOther;
    }
  }
  const std::pair key{contains(options_.served_models, record.model) ? record.model : kOther,
                      tenant};
  const auto found = series_.find(key);
  if (found != series_.end()) return found->second;
  const Labels labels = {{"model_name", key.first}, {"tenant", key.second}};
  const double created =
      static_cast<double>(options_.created_unix_ns) / static_cast<double>(kNsPerSecond);
  Series series{
      .tokens = registry_.add_series(tokens_, labels, created), .cost = {}, .limited = {}};
  series.limited = registry_.add_series(limited_, labels, created);
  if (options_.prices != nullptr) series.cost = registry_.add_series(cost_, labels, created);
  return series_.emplace(key, series).first->second;
}

void UsageMetrics::on_finish(const records::RequestRecord& record) {
  // A refused request used nothing, and names whatever it likes.
  const bool refused = record.outcome == records::Outcome::kRefused;
  if (refused && record.rate_limit.empty()) return;
  const MutexLock lock(mutex_);
  Series& series = series_of(record);
  if (refused) return registry_.add(series.limited, 1);
  registry_.add(series.tokens,
                static_cast<double>(record.prompt_tokens + record.completion_tokens));
  if (options_.prices == nullptr) return;
  if (const auto price = options_.prices->find(record.model, record.adapter)) {
    series.cost_e8 += cost_of(*price, billed_usage(record)).e8;
    registry_.set(series.cost, Cost{series.cost_e8}.usd());
  }
}

void UsageMetrics::render(std::string& page) const {
  const MutexLock lock(mutex_);
  registry_.render(registry_.values(), page);
}

}  // namespace touchstone::telemetry
