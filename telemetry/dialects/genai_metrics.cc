#include "telemetry/dialects/genai_metrics.h"

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "telemetry/dialects/request_span.h"

namespace touchstone::telemetry {
namespace {

using Type = PrometheusRegistry::Type;

constexpr size_t kErrorTypesMax = 16;
constexpr char kOther[] = "_OTHER";  // the conventions' word for a value of no bounded set

const std::vector<double> kDurationBounds = {0.01, 0.02, 0.04, 0.08,  0.16,  0.32,  0.64,
                                             1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92};
const std::vector<double> kFirstTokenBounds = {0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1,
                                               0.25,  0.5,   0.75, 1,    2.5,  5,    7.5,  10};
const std::vector<double> kPerTokenBounds = {0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2,
                                             0.3,  0.4,   0.5,  0.75,  1,   2.5};

}  // namespace

GenAiMetrics::GenAiMetrics(std::vector<std::string> served_models, int64_t created_unix_ns)
    : served_models_(std::move(served_models)),
      created_unix_s_(static_cast<double>(created_unix_ns) / static_cast<double>(kNsPerSecond)),
      duration_(registry_.add_family(
          {.type = Type::kHistogram,
           .name = "gen_ai_server_request_duration_seconds",
           .help = "Generative AI server request duration such as time-to-last byte or last "
                   "output token.",
           .bounds = kDurationBounds})),
      time_to_first_token_(
          registry_.add_family({.type = Type::kHistogram,
                                .name = "gen_ai_server_time_to_first_token_seconds",
                                .help = "Time to generate first token for successful responses.",
                                .bounds = kFirstTokenBounds})),
      time_per_output_token_(registry_.add_family(
          {.type = Type::kHistogram,
           .name = "gen_ai_server_time_per_output_token_seconds",
           .help = "Time per output token generated after the first token for successful "
                   "responses.",
           .bounds = kPerTokenBounds})) {}

const GenAiMetrics::Series& GenAiMetrics::series_of(const records::RequestRecord& record) {
  const bool served =
      std::find(served_models_.begin(), served_models_.end(), record.model) != served_models_.end();
  std::string error = is_failure(record) ? error_type(record) : "";
  if (!error.empty() &&
      std::find(error_types_.begin(), error_types_.end(), error) == error_types_.end()) {
    if (error_types_.size() < kErrorTypesMax) {
      error_types_.push_back(error);
    } else {
      error = kOther;
    }
  }
  const std::vector<std::string> key = {operation_name(record), served ? record.model : kOther,
                                        error};
  const auto found = series_.find(key);
  if (found != series_.end()) return found->second;
  Labels labels = {{"gen_ai_operation_name", key[0]},
                   {"gen_ai_provider_name", "vllm"},
                   {"gen_ai_request_model", key[1]}};
  if (!error.empty()) labels.emplace("error_type", error);
  const auto add = [&](PrometheusRegistry::FamilyId family) {
    return registry_.add_series(family, labels, created_unix_s_);
  };
  Series series{.duration = add(duration_), .time_to_first_token = {}, .time_per_output_token = {}};
  // These two are of successful responses alone.
  if (error.empty()) {
    series.time_to_first_token = add(time_to_first_token_);
    series.time_per_output_token = add(time_per_output_token_);
  }
  return series_.emplace(key, series).first->second;
}

void GenAiMetrics::on_finish(const records::RequestRecord& record) {
  const auto group = groups_.add(record);
  if (!group) return;
  const records::RequestRecord& whole = group->record;
  const MutexLock lock(mutex_);
  const Series& series = series_of(whole);
  const double duration = records::seconds_between(whole.arrival_ns, whole.finished_ns);
  registry_.observe(series.duration, duration);
  if (is_failure(whole) || !whole.first_token_ns) return;
  const double first = records::seconds_between(whole.arrival_ns, whole.first_token_ns);
  registry_.observe(series.time_to_first_token, first);
  // The conventions' formula: what follows the first token, by the tokens that do.
  if (group->completion_tokens > 1) {
    registry_.observe(series.time_per_output_token,
                      (duration - first) / static_cast<double>(group->completion_tokens - 1));
  }
}

void GenAiMetrics::render(std::string& page) const {
  const MutexLock lock(mutex_);
  registry_.render(registry_.values(), page);
}

}  // namespace touchstone::telemetry
