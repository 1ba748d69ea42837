#include "reference_engine/server/telemetry_sinks.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/text.h"
#include "base/version.h"
#include "reference_engine/lifecycle/schedule_log.h"
#include "telemetry/dialects/dialect.h"
#include "telemetry/export/environment_check.h"
#include "telemetry/export/otlp_options.h"
#include "telemetry/export/span_log.h"
#include "telemetry/export/transports.h"
#include "telemetry/prometheus/openmetrics.h"
#include "telemetry/prometheus/usage_metrics.h"
#include "telemetry/resource.h"

namespace touchstone::server {
namespace {

// How long a Collector that does not answer may hold up the end of the process.
constexpr int64_t kExportOnCloseNs = 5 * kNsPerSecond;

}  // namespace

TelemetrySinks::TelemetrySinks(Key, const Options& options, const Clock& clock,
                               const ServerLog::Write& log)
    : log_stats_(options.log_stats), clock_(clock), log_(log), metrics_(options.metrics) {}

Result<std::unique_ptr<TelemetrySinks>> TelemetrySinks::open(const Options& options,
                                                             const scheduler::Config& config,
                                                             const Clock& clock,
                                                             const ServerLog::Write& log) {
  auto sinks = std::make_unique<TelemetrySinks>(Key{}, options, clock, log);
  if (!options.step_log.empty()) {
    auto writer = LineWriter::open(options.step_log);
    if (!writer) return std::move(writer).error().with_context("--step-log");
    sinks->steps_ = std::move(*writer);
    Status begun = sinks->steps_->write(to_json_line(lifecycle::header_of(config, "monotonic")));
    if (begun) begun = sinks->steps_->flush();
    if (!begun) return std::move(begun).error().with_context("--step-log");
  }
  if (!options.request_log.empty()) {
    auto writer = LineWriter::open(options.request_log);
    if (!writer) return std::move(writer).error().with_context("--request-log");
    sinks->requests_ = std::move(*writer);
  }
  RETURN_IF_ERROR(sinks->open_dialects(options));
  RETURN_IF_ERROR(sinks->open_exports(options));
  return sinks;
}

Status TelemetrySinks::open_dialects(const Options& options) {
  auto dialects = telemetry::make_dialects(
      options.span_dialects, {.served_models = options.served_models, .prices = options.prices});
  if (!dialects) return std::move(dialects).error().with_context("--span-dialect");
  dialects_ = *std::move(dialects);
  for (const auto& dialect : dialects_) {
    if (auto metrics = dialect->make_metrics(options.metrics.started_unix_ns)) {
      dialect_metrics_.push_back(std::move(metrics));
    }
  }
  if (options.tenants || options.prices != nullptr) {
    dialect_metrics_.push_back(std::make_unique<telemetry::UsageMetrics>(
        telemetry::UsageMetrics::Options{.served_models = options.served_models,
                                         .prices = options.prices,
                                         .created_unix_ns = options.metrics.started_unix_ns}));
  }
  return {};
}

Status TelemetrySinks::open_exports(const Options& options) {
  const bool exports = !options.otlp_traces_endpoint.empty();
  const bool pushes = !options.otlp_metrics_endpoint.empty();
  const auto told = telemetry::check_otel_environment(options.environment, exports, pushes);
  if (!told) return told.error();
  for (const std::string& line : *told) log_(line);
  if (options.spool && !exports) {
    return invalid_argument("--otlp-spool: got no --otlp-traces-endpoint, expected one to send to");
  }
  const bool makes_spans = exports || !options.span_log.empty();
  if ((!makes_spans && !pushes) || telemetry::sdk_disabled(options.environment)) return {};
  // Span ids and the instance's id must differ between runs with the same seed.
  const uint64_t seed = options.seed ^ static_cast<uint64_t>(clock_.unix_ns()) ^
                        (static_cast<uint64_t>(options.process_id) << 32);
  telemetry::ResourceResult made =
      telemetry::make_vllm_resource({.instance_id = telemetry::instance_id(seed),
                                     .process_id = options.process_id,
                                     .environment = options.environment});
  for (const std::string& warning : made.warnings) log_(warning);
  if (makes_spans) RETURN_IF_ERROR(open_spans(options, seed, made.resource));
  return pushes ? open_metrics(options, made.resource) : Status{};
}

Status TelemetrySinks::open_spans(const Options& options, uint64_t seed,
                                  const telemetry::Resource& resource) {
  const auto sampler = telemetry::Sampler::from(options.environment);
  if (!sampler) return sampler.error();
  const auto limits = telemetry::SpanLimits::from(options.environment);
  if (!limits) return limits.error();
  auto exporter = make_exporter(options, resource);
  if (!exporter) return std::move(exporter).error();
  exporter_ = std::move(*exporter);
  const MutexLock lock(spans_mutex_);
  spans_ = std::make_unique<telemetry::SpanPipeline>(std::move(dialects_), seed, *exporter_,
                                                     telemetry::SpanPolicy{*sampler, *limits});
  return {};
}

Status TelemetrySinks::open_metrics(const Options& options, const telemetry::Resource& resource) {
  const auto otlp = telemetry::otlp_options(options.otlp_metrics_endpoint, options.environment,
                                            telemetry::Signal::kMetrics);
  if (!otlp) return Error(otlp.error()).with_context("--otlp-metrics-endpoint");
  auto pushing = telemetry::metrics_export_options(*otlp, options.environment);
  if (!pushing) return std::move(pushing).error();
  if (options.otlp_metrics_interval_ns) pushing->interval_ns = *options.otlp_metrics_interval_ns;
  auto transport = telemetry::make_otlp_transport(*otlp);
  if (!transport) return std::move(transport).error();
  metrics_exporter_ = std::make_unique<telemetry::MetricsExporter>(
      telemetry::MetricsOrigin{.resource = resource,
                               .scope = {"touchstone.metrics", kVersion, {}},
                               .started_unix_ns = options.metrics.started_unix_ns},
      *pushing, *std::move(transport),
      [this] {
        return telemetry::MetricsExporter::Snapshot{.page = page(),
                                                    .exemplars = metrics_.exemplars()};
      },
      clock_);
  return {};
}

Result<std::unique_ptr<telemetry::SpanExporter>> TelemetrySinks::make_exporter(
    const Options& options, telemetry::Resource resource) {
  std::unique_ptr<telemetry::SpanExporter> sender;
  if (!options.otlp_traces_endpoint.empty()) {
    const auto otlp = telemetry::otlp_options(options.otlp_traces_endpoint, options.environment);
    if (!otlp) return otlp.error();
    auto made = options.spool
                    ? telemetry::make_spooled_exporter(*otlp, *options.spool, resource, clock_)
                    : telemetry::make_otlp_exporter(*otlp, resource, clock_);
    if (!made) return std::move(made).error();
    sender = *std::move(made);
    const int64_t found = sender->counters().pending;
    if (found > 0) log_("spool: " + format_count(found) + " spans of a former run are sent now");
  }
  if (options.span_log.empty()) return sender;
  auto log = telemetry::SpanLog::open(options.span_log, resource, std::move(sender));
  if (!log) return std::move(log).error().with_context("--span-log");
  return log;
}

Status TelemetrySinks::close() {
  if (steps_) keep_unless_failed("--step-log", steps_, steps_->close());
  if (requests_) keep_unless_failed("--request-log", requests_, requests_->close());
  close_spans();
  close_metrics();
  return std::move(log_lost_);
}

void TelemetrySinks::close_metrics() {
  if (!metrics_exporter_) return;
  const bool complete = metrics_exporter_->shutdown(kExportOnCloseNs);
  const telemetry::MetricsExportCounters counters = metrics_exporter_->counters();
  log_("metrics: " + format_count(counters.exports) + " pushes taken, " +
       format_count(counters.failed) + " failed" +
       (complete ? "" : "; the last was not taken: " + counters.last_problem));
}

void TelemetrySinks::close_spans() {
  if (!exporter_) return;
  const bool complete = exporter_->shutdown(kExportOnCloseNs);
  const telemetry::ExporterCounters counters = exporter_->counters();
  log_("spans: " + format_count(counters.exported) + " exported, " +
       format_count(counters.rejected) + " rejected, " + format_count(counters.failed) +
       " failed, " + format_count(counters.dropped) + " dropped" +
       (counters.pending == 0 ? "" : ", " + format_count(counters.pending) + " left in the spool") +
       (complete || counters.last_problem.empty() ? "" : "; " + counters.last_problem));
}

void TelemetrySinks::report_problems(ServerLog& log) {
  if (metrics_exporter_) {
    const telemetry::MetricsExportCounters pushes = metrics_exporter_->counters();
    if (pushes.failed_attempts != std::exchange(failed_pushes_reported_, pushes.failed_attempts)) {
      log.warn("metrics export", "a push of metrics failed: " + pushes.last_problem);
    }
  }
  if (!exporter_) return;
  const telemetry::ExporterCounters counters = exporter_->counters();
  const int64_t lost = counters.rejected + counters.failed + counters.dropped;
  if (lost != std::exchange(lost_spans_reported_, lost)) {
    log.warn("spans", format_count(lost) + " spans lost so far: " + counters.last_problem);
  }
  // Retries go on for long before a span counts as lost.
  const int64_t failed = counters.failed_attempts;
  if (failed != std::exchange(failed_exports_reported_, failed)) {
    log.warn("span export", "an export of spans failed, " + format_count(counters.pending) +
                                " wait: " + counters.last_problem);
  }
}

void TelemetrySinks::on_step(const records::StepRecord& step) {
  if (steps_) keep_unless_failed("--step-log", steps_, steps_->write(to_json_line(step)));
}

void TelemetrySinks::on_stats(const records::StepStats& stats) {
  if (!log_stats_) return;
  metrics_.on_step(stats);
  metrics_.on_adapters(stats.adapters, clock_.unix_ns());
}

void TelemetrySinks::on_request(const records::RequestRecord& record) {
  if (record.outcome == records::Outcome::kRefused) return on_refused(record);
  if (log_stats_) metrics_.on_finish(record);
  tell_dialects(record);
  if (requests_)
    keep_unless_failed("--request-log", requests_, requests_->write(to_json_line(record)));
}

void TelemetrySinks::on_refused(const records::RequestRecord& record) { tell_dialects(record); }

void TelemetrySinks::tell_dialects(const records::RequestRecord& record) {
  for (const auto& metrics : dialect_metrics_) metrics->on_finish(record);
  const MutexLock lock(spans_mutex_);
  if (spans_) spans_->on_request(record);
}

void TelemetrySinks::on_idle() {
  if (steps_) keep_unless_failed("--step-log", steps_, steps_->flush());
  if (requests_) keep_unless_failed("--request-log", requests_, requests_->flush());
}

void TelemetrySinks::on_http(const http::HttpExchange& exchange) {
  metrics_.on_http(exchange, clock_.unix_ns());
}

void TelemetrySinks::on_rejection(engine::Engine::Admission why) {
  using Rejection = telemetry::VllmMetrics::Rejection;
  if (!log_stats_) return;
  metrics_.on_rejection(why == engine::Engine::Admission::kTooManyTokens
                            ? Rejection::kQueuedTokens
                            : Rejection::kQueuedRequests);
}

std::string TelemetrySinks::page() const {
  std::string page = metrics_.render();
  for (const auto& metrics : dialect_metrics_) metrics->render(page);
  if (exporter_) telemetry::render_exporter_metrics(exporter_->counters(), page);
  return page;
}

MetricsText TelemetrySinks::metrics(std::string_view accept) const {
  std::string page = this->page();
  if (telemetry::accepts_openmetrics(accept)) {
    return {.content_type = telemetry::kOpenMetricsType,
            .body = telemetry::to_openmetrics(page, metrics_.exemplars())};
  }
  return {.content_type = telemetry::kPrometheusTextType, .body = std::move(page)};
}

void TelemetrySinks::keep_unless_failed(const char* flag, std::unique_ptr<LineWriter>& writer,
                                        Status status) {
  if (status) return;
  Error error = std::move(status).error().with_context(flag);
  log_(error.message + "; nothing more is written there");
  writer.reset();
  if (log_lost_) log_lost_ = std::move(error);
}

bool has_http_spans(const std::string& dialects) {
  const std::vector<std::string> names = split(dialects, ',');
  return std::find(names.begin(), names.end(), "http") != names.end();
}

}  // namespace touchstone::server
