// What tenants used, what it cost and what they were refused: llm_total_tokens_total,
// llm_estimated_cost_usd_total, llm_rate_limited_requests_total, by model and tenant. Thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "telemetry/cost/price_table.h"
#include "telemetry/dialects/dialect.h"
#include "telemetry/prometheus/registry.h"

namespace touchstone::telemetry {

class UsageMetrics final : public DialectMetrics {
 public:
  struct Options {
    std::vector<std::string> served_models = {};  ///< any other is "other"
    size_t tenants_max = 100;                     ///< later ones share the series "other"
    const PriceTable* prices = nullptr;           ///< null: no costs; outlives this
    int64_t created_unix_ns = 0;
  };
  explicit UsageMetrics(Options options);
  void on_finish(const records::RequestRecord& record) override;
  void render(std::string& page) const override;

 private:
  struct Series {
    PrometheusRegistry::SeriesId tokens;
    PrometheusRegistry::SeriesId cost;
    PrometheusRegistry::SeriesId limited;
    int64_t cost_e8 = 0;  // exact: the sum of what the spans say
  };
  Series& series_of(const records::RequestRecord& record) REQUIRES(mutex_);

  const Options options_;
  mutable Mutex mutex_;
  PrometheusRegistry registry_ GUARDED_BY(mutex_);
  PrometheusRegistry::FamilyId tokens_;
  PrometheusRegistry::FamilyId cost_;
  PrometheusRegistry::FamilyId limited_;
  std::vector<std::string> tenants_ GUARDED_BY(mutex_);
  std::map<std::pair<std::string, std::string>, Series> series_ GUARDED_BY(mutex_);
};

}  // namespace touchstone::telemetry
