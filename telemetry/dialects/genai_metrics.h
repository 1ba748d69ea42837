// The server metrics of the GenAI semantic conventions as Prometheus histograms, one observation a
// request. Source: semantic-conventions-genai, docs/gen-ai/gen-ai-metrics.md (May 2026); names by
// OpenTelemetry's rules for Prometheus. Thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "telemetry/dialects/dialect.h"
#include "telemetry/dialects/request_group.h"
#include "telemetry/prometheus/registry.h"

namespace touchstone::telemetry {

class GenAiMetrics final : public DialectMetrics {
 public:
  /// Other models' requests share one series, and so do errors beyond the first kinds: the page is
  /// bounded whatever clients send.
  GenAiMetrics(std::vector<std::string> served_models, int64_t created_unix_ns);
  void on_finish(const records::RequestRecord& record) override;
  void render(std::string& page) const override;

 private:
  struct Series {
    PrometheusRegistry::SeriesId duration;
    PrometheusRegistry::SeriesId time_to_first_token;
    PrometheusRegistry::SeriesId time_per_output_token;
  };
  const Series& series_of(const records::RequestRecord& record) REQUIRES(mutex_);

  const std::vector<std::string> served_models_;
  const double created_unix_s_;
  RequestGroups groups_;
  mutable Mutex mutex_;
  PrometheusRegistry registry_ GUARDED_BY(mutex_);
  PrometheusRegistry::FamilyId duration_;
  PrometheusRegistry::FamilyId time_to_first_token_;
  PrometheusRegistry::FamilyId time_per_output_token_;
  std::vector<std::string> error_types_ GUARDED_BY(mutex_);
  std::map<std::vector<std::string>, Series> series_ GUARDED_BY(mutex_);
};

}  // namespace touchstone::telemetry
