#include "simulator/measured/readers.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <utility>
#include <variant>

#include "base/files.h"
#include "base/sha256.h"
#include "base/text.h"
#include "records/run_folder.h"
#include "records/server_description.h"
#include "telemetry/otlp/file.h"
#include "telemetry/prometheus/text.h"

namespace touchstone::simulator {
namespace {

std::string text_of(const records::Settings::mapped_type& value) {
  struct {
    std::string operator()(bool b) const { return b ? "true" : "false"; }
    std::string operator()(int64_t i) const { return std::to_string(i); }
    std::string operator()(double d) const { return format_double(d); }
    std::string operator()(const std::string& s) const { return s; }
  } to_text;
  return std::visit(to_text, value);
}

std::string in_words(const records::Settings& settings) {
  std::vector<std::string> parts;
  for (const auto& [key, value] : settings) parts.push_back(key + " " + text_of(value));
  return join(parts, ", ");
}

std::optional<double> number_of(const telemetry::Span& span, std::string_view key) {
  const telemetry::Value* value = telemetry::find(span.attributes, key);
  if (value == nullptr) return std::nullopt;
  if (value->number() != nullptr) return *value->number();
  if (value->integer() != nullptr) return static_cast<double>(*value->integer());
  return std::nullopt;
}

void take_span(const telemetry::Span& span, SpanTimes& of) {
  if (of.start_ns == 0 || span.start_unix_ns < of.start_ns) of.start_ns = span.start_unix_ns;
  const auto e2e_s = number_of(span, "gen_ai.latency.e2e");
  if (!e2e_s) return;
  const auto count = [&](std::string_view key) {
    return static_cast<int64_t>(number_of(span, key).value_or(0));
  };
  of.prompt_tokens = count("gen_ai.usage.prompt_tokens");
  of.output_tokens = count("gen_ai.usage.completion_tokens");
  of.times = {.ttft_s = number_of(span, "gen_ai.latency.time_to_first_token"),
              .e2e_s = e2e_s,
              .queue_s = number_of(span, "gen_ai.latency.time_in_queue"),
              .prefill_s = number_of(span, "gen_ai.latency.time_in_model_prefill"),
              .decode_s = number_of(span, "gen_ai.latency.time_in_model_decode")};
  if (of.times.decode_s && of.output_tokens > 1) {
    of.times.tpot_s = *of.times.decode_s / static_cast<double>(of.output_tokens - 1);
  }
}

/// How much the counter `name` rose.
std::optional<double> rise(const telemetry::MetricsPage& before,
                           const telemetry::MetricsPage& after, std::string_view name) {
  const auto end = after.sum(name);
  if (!end) return std::nullopt;
  return *end - before.sum(name).value_or(0);
}

}  // namespace

Result<std::map<std::string, SpanTimes>> read_span_times(const std::vector<std::string>& files) {
  std::map<std::string, SpanTimes> times;
  const auto visit = [&](const telemetry::TraceBatch& batch, int64_t) -> Status {
    for (const telemetry::ResourceSpans& resource : batch) {
      for (const telemetry::ScopeSpans& scope : resource.scope_spans) {
        for (const telemetry::Span& span : scope.spans) {
          take_span(span, times[span.trace_id.hex()]);
        }
      }
    }
    return {};
  };
  for (const std::string& path : files) {
    const auto read = telemetry::read_otlp_file(path, visit);
    if (!read) return read.error();
  }
  return times;
}

Status read_server(const std::string& path, MeasuredLoad& load) {
  const auto server = records::read_server_description(path);
  if (!server) return server.error();
  for (const scheduler::ConfigField& field : scheduler::config_fields()) {
    const auto flag = server->flags.find(std::string(field.flag));
    if (flag == server->flags.end()) continue;
    Status status = scheduler::set(load.config, field, flag->second);
    if (!status) {
      return std::move(status).error().with_context(path + ": flags." + std::string(field.flag));
    }
  }
  load.engine = server->engine + " " + server->version;
  load.model = in_words(server->model);
  load.hardware = in_words(server->hardware);
  return add_digest(path, load);
}

Status read_counters(const std::string& folder, MeasuredLoad& load) {
  const std::string before = folder + "/" + records::run_files::kMetricsBefore;
  const std::string after = folder + "/" + records::run_files::kMetrics;
  if (!std::filesystem::exists(before) || !std::filesystem::exists(after)) return {};
  std::vector<telemetry::MetricsPage> pages;
  for (const std::string& path : {before, after}) {
    const auto text = read_file(path);
    if (!text) return text.error();
    auto page = telemetry::parse_prometheus_text(path, *text);
    if (!page) return std::move(page).error();
    pages.push_back(std::move(*page));
  }
  load.counters.steps = rise(pages[0], pages[1], "vllm:iteration_tokens_total_count");
  load.counters.preemptions = rise(pages[0], pages[1], "vllm:num_preemptions_total");
  load.counters.prefix_hit_tokens = rise(pages[0], pages[1], "vllm:prefix_cache_hits_total");
  return {};
}

Status add_digest(const std::string& path, MeasuredLoad& load) {
  const auto digest = file_sha256_hex(path);
  if (!digest) return digest.error();
  load.digests[std::filesystem::path(path).filename().string()] = *digest;
  return {};
}

}  // namespace touchstone::simulator
