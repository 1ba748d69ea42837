#include "cli/serve_telemetry_flags.h"

#include <map>
#include <string>

#include "telemetry/dialects/dialect.h"

namespace touchstone::cli {
namespace {

using server::ServeOptions;

constexpr int64_t kContentBytesDefault = 8192;

void add_span_flags(CLI::App& app, TelemetryFlags& flags, ServeOptions& options) {
  app.add_option("--otlp-traces-endpoint", options.otlp_traces_endpoint,
                 "Sends a span per completion to this OTLP endpoint; see also OTEL_SERVICE_NAME, "
                 "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL (grpc, http/protobuf, http/json), "
                 "OTEL_RESOURCE_ATTRIBUTES, OTEL_TRACES_SAMPLER, OTEL_BSP_*; env: the one that "
                 "OTEL_EXPORTER_OTLP_ENDPOINT names");
  std::string dialects;
  for (const telemetry::DialectRow& row : telemetry::dialect_rows()) {
    dialects +=
        (dialects.empty() ? "" : "; ") + std::string(row.name) + ": " + std::string(row.summary);
  }
  app.add_option("--span-dialect", options.span_dialects,
                 "Which spans, one or several separated by commas (" + dialects + ")")
      ->capture_default_str();
  app.add_flag("--http-spans", flags.http_spans, "The same as the dialect http besides the others");
  app.add_option("--span-log", options.span_log,
                 "Writes a line of JSON for each span into this file; -: to stdout");
  app.add_flag_callback(
      "--capture-content", [&options] { options.content_bytes_max = kContentBytesDefault; },
      "Spans of dialects that know how say what was asked and answered");
  app.add_option("--capture-content-bytes", options.content_bytes_max,
                 "The same, of each at most so many bytes (--capture-content: 8192)")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20));
}

void add_metrics_flags(CLI::App& app, TelemetryFlags& flags, ServeOptions& options) {
  app.add_flag_callback(
      "--disable-log-stats", [&options] { options.log_stats = false; }, "Metrics stand still");
  app.add_option("--otlp-metrics-endpoint", options.otlp_metrics_endpoint,
                 "Pushes what /metrics shows to this OTLP endpoint, and once more at the end; see "
                 "also OTEL_EXPORTER_OTLP_METRICS_PROTOCOL (grpc, http/protobuf, http/json); env: "
                 "the one that OTEL_EXPORTER_OTLP_ENDPOINT names");
  app.add_option("--otlp-metrics-interval", flags.metrics_interval_s,
                 "Seconds between pushes. Default: OTEL_METRIC_EXPORT_INTERVAL (milliseconds), "
                 "else 60")
      ->check(CLI::Range(0.01, 86400.0));
}

void add_spool_flags(CLI::App& app, telemetry::SpoolOptions& spool) {
  app.add_option("--otlp-spool", spool.directory,
                 "Folder that keeps spans until they are delivered, also when this process is "
                 "killed; a new one goes on with what is there");
  app.add_option("--otlp-spool-max-bytes", spool.bytes_max,
                 "Most bytes in that folder; beyond it new spans are dropped")
      ->check(CLI::Range(int64_t{1} << 16, int64_t{1} << 50))
      ->capture_default_str();
  using Sync = telemetry::SpoolOptions::Sync;
  const std::map<std::string, Sync> words = {
      {"never", Sync::kNever}, {"interval", Sync::kInterval}, {"always", Sync::kAlways}};
  app.add_option_function<std::string>(
         "--otlp-spool-fsync",
         [&spool, words](const std::string& word) { spool.sync = words.at(word); },
         "When the disk has spans, for the case that the machine dies: never, interval (before "
         "each batch is sent), always (before the request is answered). Default: interval")
      ->check(CLI::IsMember(words));
}

void add_account_flags(CLI::App& app, ServeOptions& options) {
  app.add_option("--price-table", options.price_table,
                 "YAML file with what tokens cost, by model: spans, metrics and answers then tell "
                 "costs");
  app.add_option("--tenant-from", options.tenant_from,
                 "What says on whose behalf a request comes, the first that knows: api-key, user "
                 "(of the body), header:NAME, baggage:NAME. Default: nothing does");
  app.add_option("--api-key-table", options.api_key_table,
                 "YAML file with the API keys of each tenant; they are let in");
  app.add_option("--rate-limits", options.rate_limits,
                 "YAML file with requests and tokens a minute by tenant; beyond them 429");
  app.add_flag("--usage-extensions", options.usage_extensions,
               "Full answers also have text, prompt_tokens, completion_tokens, trace_id and "
               "estimated_cost_usd at the top, /health a body");
}

}  // namespace

void add_telemetry_flags(CLI::App& app, TelemetryFlags& flags, ServeOptions& options) {
  add_metrics_flags(app, flags, options);
  add_span_flags(app, flags, options);
  add_spool_flags(app, flags.spool);
  add_account_flags(app, options);
  app.add_option("--step-log", options.step_log, "Writes what the scheduler did, as JSON lines");
  app.add_option("--request-log", options.request_log,
                 "Writes one record per completion, as JSON lines");
}

void resolve_telemetry_flags(const TelemetryFlags& flags, ServeOptions& options) {
  if (flags.http_spans) options.span_dialects += ",http";
  if (!flags.spool.directory.empty()) options.spool = flags.spool;
  if (flags.metrics_interval_s) {
    options.otlp_metrics_interval_ns = static_cast<int64_t>(*flags.metrics_interval_s * 1e9);
  }
}

}  // namespace touchstone::cli
