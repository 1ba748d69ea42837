#include "simulator/calibrate/counters_model.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <utility>

#include "base/files.h"
#include "base/text.h"
#include "records/run_folder.h"
#include "simulator/measured/readers.h"
#include "simulator/steptime/least_squares.h"
#include "telemetry/prometheus/text.h"

namespace touchstone::simulator {
namespace {

namespace names = records::run_files;

constexpr double kNsPerS = 1e9;
// Means of counters are not better than this.
constexpr double kFinest = 1e-2;

/// What happened between two pages.
struct Rise {
  double steps = 0;
  double step_tokens = 0;  ///< computed in them
  double prompt_tokens = 0;
  double output_tokens = 0;
  double requests = 0;  ///< with a first token
  double prefill_s = 0;
  double decode_s = 0;

  double decode_tokens() const { return output_tokens - requests; }
  /// Computed, so without those that the prefix cache had.
  double prefill_tokens() const { return step_tokens - decode_tokens(); }
};

Result<telemetry::MetricsPage> read_page(const std::string& path) {
  const auto text = read_file(path);
  if (!text) return text.error();
  return telemetry::parse_prometheus_text(path, *text);
}

Result<Rise> read_rise(const std::string& folder) {
  const std::string path = folder + "/" + names::kMetrics;
  const auto before = read_page(folder + "/" + names::kMetricsBefore);
  if (!before) return before.error();
  const auto after = read_page(path);
  if (!after) return after.error();
  Rise rise;
  const std::pair<const char*, double*> wanted[] = {
      {"vllm:iteration_tokens_total_count", &rise.steps},
      {"vllm:iteration_tokens_total_sum", &rise.step_tokens},
      {"vllm:prompt_tokens_total", &rise.prompt_tokens},
      {"vllm:generation_tokens_total", &rise.output_tokens},
      {"vllm:request_prefill_time_seconds_count", &rise.requests},
      {"vllm:request_prefill_time_seconds_sum", &rise.prefill_s},
      {"vllm:request_decode_time_seconds_sum", &rise.decode_s}};
  for (const auto& [name, value] : wanted) {
    const auto end = after->sum(name);
    if (!end) {
      return invalid_argument(
          path + ": got no " + std::string(name) + ", expected it of a vLLM",
          "without spans and requests, its histograms are what is learned from");
    }
    *value = *end - before->sum(name).value_or(0);
  }
  if (!(rise.steps > 0 && rise.requests > 0 && rise.prefill_s > 0 && rise.decode_s > 0 &&
        rise.decode_tokens() > 0 && rise.prefill_tokens() > 0)) {
    return unavailable(path + ": got counters that did not rise since " + names::kMetricsBefore +
                           ", expected a load between the two pages",
                       "scrape before and after some hundred requests");
  }
  return rise;
}

/// The mean number of requests in flight when so many decode in a step that is not empty, on the
/// assumption that they come by chance: a Poisson number, given that it is not 0.
double mean_in_flight(double decode_in_a_step) {
  double low = 0;
  double high = decode_in_a_step;
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (middle < decode_in_a_step * -std::expm1(-middle) ? low : high) = middle;
  }
  return high;
}

/// The step that a decoded token waited for, and the steps that a prompt did, in means: the former
/// sees itself beside the mean, the latter the mean. Columns: step, prefill token, decode request.
void add_rows(const Rise& r, const scheduler::Config& config, LeastSquares& rows) {
  const double in_flight = mean_in_flight(r.decode_tokens() / r.steps);
  const double batch = std::min(in_flight + 1, static_cast<double>(config.max_num_seqs));
  const double decode_ns = r.decode_s * kNsPerS / r.decode_tokens();
  rows.add({1, r.prefill_tokens() / r.steps, batch}, decode_ns, 1 / (decode_ns * decode_ns));
  const double prompt = r.prefill_tokens() / r.requests;
  const double chunks = std::max(1.0, std::ceil(prompt / config.max_num_batched_tokens));
  const double prefill_ns = r.prefill_s * kNsPerS / r.requests;
  rows.add({chunks, prompt, chunks * std::min(in_flight, batch)}, prefill_ns,
           1 / (prefill_ns * prefill_ns));
}

}  // namespace

bool has_counters_alone(const std::string& folder) {
  const std::filesystem::path place(folder);
  const auto has = [&](const char* name) { return std::filesystem::exists(place / name); };
  return has(names::kMetricsBefore) && has(names::kMetrics) && !has(names::kLedger) &&
         !has(names::kSpans) && !has(names::kSteps);
}

Result<ModelFile> model_of_counters(const std::vector<std::string>& folders) {
  ModelFile file;
  LeastSquares rows;
  scheduler::Config largest;
  largest.max_num_seqs = 0;
  largest.max_num_batched_tokens = 0;
  for (const std::string& folder : folders) {
    MeasuredLoad server;
    RETURN_IF_ERROR(read_server(folder + "/" + names::kServer, server));
    const auto rise = read_rise(folder);
    if (!rise) return rise.error();
    add_rows(*rise, server.config, rows);
    for (const char* page : {names::kMetricsBefore, names::kMetrics}) {
      RETURN_IF_ERROR(add_digest(folder + "/" + page, server));
    }
    largest.max_num_seqs = std::max(largest.max_num_seqs, server.config.max_num_seqs);
    largest.max_num_batched_tokens =
        std::max(largest.max_num_batched_tokens, server.config.max_num_batched_tokens);
    file.origins.push_back(
        {.name = std::filesystem::path(folder).lexically_normal().filename().string(),
         .engine = server.engine,
         .model = server.model,
         .hardware = server.hardware,
         .role = "shape and anchor",
         .requests = static_cast<int64_t>(rise->requests),
         .fitted = static_cast<int64_t>(rise->requests),
         .digests = server.digests});
  }
  // Of one load the batch is a part of every step.
  const unsigned identified = folders.size() > 1 ? identified_columns(rows) : 0b011u;
  const auto costs = fit_non_negative(rows, identified, {.finest = kFinest});
  if (!costs || !((*costs)[0] > 0)) {
    return invalid_argument("the counters give no step times that are above 0",
                            "add a folder of another load");
  }
  StepTerms terms = {};
  std::copy(costs->begin(), costs->end(), terms.begin());
  file.shape = terms;
  file.anchor = {.decode = 1, .prefill = 1, .fitted = folders.size() == 1};
  file.validity.low = {};
  file.validity.high = {.step = INT64_MAX,
                        .prefill_requests = largest.max_num_seqs,
                        .prefill_tokens = largest.max_num_batched_tokens,
                        .decode_requests = largest.max_num_seqs,
                        .sampled_requests = largest.max_num_seqs,
                        .context_tokens = INT64_MAX,
                        .prefill_attention = INT64_MAX};
  for (size_t i = 2; i < kStepTerms; ++i) {
    if (i > 2 || (identified >> i & 1) == 0) file.unidentified.emplace_back(kStepTermNames[i]);
  }
  file.notes.emplace_back(
      "learned from counters alone: means over the whole load, so it is coarse; spans, or a load "
      "recorded with `touchstone load --record`, tell far more");
  return file;
}

}  // namespace touchstone::simulator
