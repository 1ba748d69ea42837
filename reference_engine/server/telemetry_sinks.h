// Where the engine's telemetry goes: step log, request log, metrics, spans. Called on the engine
// thread, but for what is marked; a sink that fails (disk full) is reported once, then left out,
// and reported again at the end: telemetry never fails a request.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/environment.h"
#include "base/files.h"
#include "base/mutex.h"
#include "base/result.h"
#include "reference_engine/engine/engine.h"
#include "reference_engine/scheduler/config.h"
#include "reference_engine/server/service.h"
#include "telemetry/export/exporter.h"
#include "telemetry/export/exporter_metrics.h"
#include "telemetry/export/metrics_exporter.h"
#include "telemetry/export/span_pipeline.h"
#include "telemetry/export/span_spool.h"
#include "telemetry/prometheus/vllm_metrics.h"

namespace touchstone::server {

class TelemetrySinks final : public engine::EngineObserver, public ServiceTelemetry {
 public:
  struct Options {
    std::string step_log;     ///< path; empty: none
    std::string request_log;  ///< path; empty: none
    telemetry::VllmMetricsConfig metrics;
    bool log_stats = true;               ///< false: the metrics stand still
    std::string span_dialects = "vllm";  ///< names of telemetry/dialects, comma-separated
    std::vector<std::string> served_models;
    const telemetry::PriceTable* prices = nullptr;  ///< null: no costs; outlives the sinks
    bool tenants = false;               ///< usage is counted by tenant; also where there are prices
    std::string otlp_traces_endpoint;   ///< empty: no spans are sent
    std::string otlp_metrics_endpoint;  ///< empty: no metrics are pushed
    std::optional<int64_t> otlp_metrics_interval_ns;  ///< absent: what the environment says
    std::string span_log;                             ///< path, or "-" for stdout; empty: none
    std::optional<telemetry::SpoolOptions> spool;
    Environment environment;  ///< OTEL_*
    uint64_t seed = 0;
    int64_t process_id = 0;
  };

  /// For open() only.
  class Key final {
    friend class TelemetrySinks;
    Key() = default;
  };
  TelemetrySinks(Key, const Options& options, const Clock& clock, const ServerLog::Write& log);

  /// `clock` and `log` outlive the result. ERRORS: kIo when a log cannot be opened,
  /// kInvalidArgument for a bad endpoint or variable.
  static Result<std::unique_ptr<TelemetrySinks>> open(const Options& options,
                                                      const scheduler::Config& config,
                                                      const Clock& clock,
                                                      const ServerLog::Write& log);

  void on_step(const records::StepRecord& step) override;
  void on_stats(const records::StepStats& stats) override;
  void on_request(const records::RequestRecord& record) override;
  void on_idle() override;
  bool wants_hashes() const override { return requests_ != nullptr; }

  /// After the engine's end: sends the spans that wait, writes the logs out. Call once. ERRORS: kIo
  /// when a log is not all that it should be, whenever that happened.
  Status close();

  // Thread-safe, for the I/O threads:
  void on_http(const http::HttpExchange& exchange);
  void on_rejection(engine::Engine::Admission why) override;
  /// Goes to the dialects alone: vLLM counts no such request, and logs hold what the engine took.
  void on_refused(const records::RequestRecord& record) override;
  MetricsText metrics(std::string_view accept) const override;
  /// Warns of spans that were lost since the last call, and of a receiver that takes none.
  void report_problems(ServerLog& log);

 private:
  /// Spans and metrics of the dialects. Thread-safe.
  void tell_dialects(const records::RequestRecord& record);
  Status open_dialects(const Options& options);
  Status open_exports(const Options& options);
  Status open_spans(const Options& options, uint64_t seed, const telemetry::Resource& resource);
  Status open_metrics(const Options& options, const telemetry::Resource& resource);
  Result<std::unique_ptr<telemetry::SpanExporter>> make_exporter(const Options& options,
                                                                 telemetry::Resource resource);
  void close_spans();
  void close_metrics();
  std::string page() const;
  /// `flag` named the file of `writer`.
  void keep_unless_failed(const char* flag, std::unique_ptr<LineWriter>& writer, Status status);

  const bool log_stats_;
  const Clock& clock_;
  const ServerLog::Write& log_;
  telemetry::VllmMetrics metrics_;
  std::unique_ptr<LineWriter> steps_;
  std::unique_ptr<LineWriter> requests_;
  Status log_lost_;  // the first error of either
  std::vector<std::unique_ptr<telemetry::DialectMetrics>> dialect_metrics_;
  Mutex spans_mutex_;  // the engine thread and those that refuse requests make spans
  // Null: no spans. Outlives the exporter.
  std::unique_ptr<telemetry::SpanPipeline> spans_ GUARDED_BY(spans_mutex_);
  std::unique_ptr<telemetry::SpanExporter> exporter_;
  std::unique_ptr<telemetry::MetricsExporter> metrics_exporter_;  // null: nothing is pushed
  std::vector<std::unique_ptr<telemetry::Dialect>> dialects_;     // until the pipeline has them
  int64_t lost_spans_reported_ = 0;
  int64_t failed_exports_reported_ = 0;
  int64_t failed_pushes_reported_ = 0;
};

/// Whether `dialects` (--span-dialect) asks for the HTTP server's own span.
bool has_http_spans(const std::string& dialects);

}  // namespace touchstone::server
