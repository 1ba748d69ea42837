// The span that an audit needs: vLLM's own, and what it leaves out. It names the model, the system
// and the operation, says how the request ended, and stands for aborted, refused and failed
// requests too. Keys: OpenTelemetry GenAI semantic conventions 1.28.0 (gen_ai.system,
// gen_ai.operation.name, gen_ai.request.model, gen_ai.response.*), and error.type of 1.21.0.
#include <map>
#include <set>
#include <utility>

#include "base/clock.h"
#include "base/mutex.h"
#include "records/answering_model.h"
#include "telemetry/dialects/request_span.h"
#include "telemetry/dialects/vllm_span.h"
#include "telemetry/prometheus/registry.h"

namespace touchstone::telemetry {
namespace {

constexpr records::Outcome kOutcomes[] = {records::Outcome::kStop, records::Outcome::kLength,
                                          records::Outcome::kAbort, records::Outcome::kError,
                                          records::Outcome::kRefused};

/// Requests by how they ended: vLLM's own counters leave out the aborted and the refused.
class AuditMetrics final : public DialectMetrics {
 public:
  AuditMetrics(const std::vector<std::string>& served_models, int64_t created_unix_ns)
      : created_unix_s_(static_cast<double>(created_unix_ns) / static_cast<double>(kNsPerSecond)),
        family_(registry_.add_family({.type = PrometheusRegistry::Type::kCounter,
                                      .name = "touchstone_audit_requests",
                                      .help = "Requests by outcome, every one counted."})) {
    // All series exist from the start: their number does not depend on what clients send.
    for (const std::string& model : served_models) add_model(model);
    add_model(kOther);
  }

  void on_finish(const records::RequestRecord& record) override {
    const MutexLock lock(mutex_);
    const auto found = series_.find({record.model, record.outcome});
    registry_.add(found != series_.end() ? found->second : series_.at({kOther, record.outcome}), 1);
  }

  void render(std::string& page) const override {
    const MutexLock lock(mutex_);
    registry_.render(registry_.values(), page);
  }

 private:
  static constexpr char kOther[] = "other";  // a model that is not served

  void add_model(const std::string& model) REQUIRES(mutex_) {
    for (const records::Outcome outcome : kOutcomes) {
      if (series_.contains({model, outcome})) return;
      series_.emplace(
          std::pair{model, outcome},
          registry_.add_series(family_, {{"model_name", model}, {"outcome", to_string(outcome)}},
                               created_unix_s_));
    }
  }

  mutable Mutex mutex_;
  const double created_unix_s_;
  PrometheusRegistry registry_ GUARDED_BY(mutex_);
  const PrometheusRegistry::FamilyId family_;
  std::map<std::pair<std::string, records::Outcome>, PrometheusRegistry::SeriesId> series_
      GUARDED_BY(mutex_);
};

class AuditDialect final : public Dialect {
 public:
  explicit AuditDialect(const DialectOptions& options) : options_(options) {}

  const SpanOrigin& origin() const override { return origin_; }

  void append_spans(const records::RequestRecord& record, SpanIds& ids,
                    std::vector<Span>& out) const override {
    if (is_unsampled(record)) return;
    Span span = vllm_span(record, ids);
    const auto add = [&](const char* key, Value value) {
      span.attributes.push_back({key, std::move(value)});
    };
    add("gen_ai.model.id", record.model);
    add("gen_ai.system", "vllm");
    add("gen_ai.request.model", records::answering_model(record));
    add("gen_ai.response.model", records::answering_model(record));
    add("gen_ai.response.finish_reasons", Value::Array{Value(to_string(record.outcome))});
    add("gen_ai.operation.name", operation_name(record));
    if (is_failure(record)) {
      add("error.type", error_type(record));
      span.status = StatusCode::kError;
    }
    out.push_back(std::move(span));
  }

  std::unique_ptr<DialectMetrics> make_metrics(int64_t created_unix_ns) const override {
    return std::make_unique<AuditMetrics>(options_.served_models, created_unix_ns);
  }

 private:
  const DialectOptions options_;
  // The version of this vocabulary, so that an old record is read by the rules of its day.
  const SpanOrigin origin_ = {.scope = {"touchstone.audit", "1", {}},
                              .schema_url = "",
                              .resource = {{"touchstone.audit.version", "1"}}};
};

}  // namespace

DialectRow audit_dialect() {
  return {"audit", "vllm's span, with model, operation and outcome, for every request",
          [](const DialectOptions& options) -> std::unique_ptr<Dialect> {
            return std::make_unique<AuditDialect>(options);
          }};
}

}  // namespace touchstone::telemetry
