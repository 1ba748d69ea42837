#include "simulator/steptime/parse.h"

#include "base/clock.h"
#include "base/text.h"
#include "simulator/steptime/constant.h"
#include "simulator/steptime/linear.h"
#include "simulator/steptime/model_file.h"
#include "simulator/steptime/recorded.h"
#include "simulator/steptime/roofline.h"

namespace touchstone::simulator {
namespace {

constexpr int64_t kLongestNs = 3600 * kNsPerSecond;  // of one parameter: anything above is a slip

using Made = Result<std::unique_ptr<StepTimeModel>>;

Result<int64_t> parse_time(std::string_view text, int64_t least) {
  Result<int64_t> time = parse_duration_ns(text);
  if (!time) return std::move(time).error().with_context("steptime");
  if (*time < least || *time > kLongestNs) {
    return invalid_argument("steptime: got " + std::string(text) + ", expected " +
                            std::to_string(least) + "ns to 1h");
  }
  return time;
}

Made make_constant(std::string_view arguments, const std::vector<StepSample>&) {
  const Result<int64_t> time = parse_time(arguments, 1);
  if (!time) return time.error();
  return make_constant_step_time(*time);
}

Made make_linear(std::string_view arguments, const std::vector<StepSample>&) {
  const std::vector<std::string> parts = split(arguments, ',');
  if (parts.size() != 3) {
    return invalid_argument("steptime: got linear:" + std::string(arguments) +
                                ", expected linear:BASE,PER_PREFILL_TOKEN,PER_DECODE",
                            "for example linear:5ms,100us,500us");
  }
  int64_t times[3];
  for (size_t i = 0; i < 3; ++i) {
    const Result<int64_t> time = parse_time(parts[i], 0);
    if (!time) return time.error();
    times[i] = *time;
  }
  if (times[0] + times[1] + times[2] == 0) {
    return invalid_argument("steptime: got linear with nothing but zeros, expected some time");
  }
  return make_linear_step_time({times[0], times[1], times[2]});
}

Status check_run(std::string_view arguments, const std::vector<StepSample>& samples,
                 const char* name) {
  if (!arguments.empty()) {
    return invalid_argument("steptime: got " + std::string(name) + ":" + std::string(arguments) +
                            ", expected " + name + " without anything after it");
  }
  if (samples.empty()) {
    return invalid_argument(std::string("steptime: got ") + name +
                                " without recorded steps, expected a run with steps.jsonl",
                            "give --run with the folder of a measured run of touchstone serve");
  }
  return {};
}

Made make_recorded(std::string_view arguments, const std::vector<StepSample>& samples) {
  RETURN_IF_ERROR(check_run(arguments, samples, "recorded"));
  std::vector<int64_t> durations_ns;
  for (const StepSample& sample : samples) durations_ns.push_back(sample.duration_ns);
  return make_recorded_step_time(std::move(durations_ns));
}

Made make_fitted(std::string_view arguments, const std::vector<StepSample>& samples) {
  RETURN_IF_ERROR(check_run(arguments, samples, "fitted"));
  const Result<StepTimeFit> fit = fit_step_times(samples);
  if (!fit) return fit.error();
  return make_fitted_step_time(*fit);
}

Made make_roofline(std::string_view arguments, const std::vector<StepSample>&) {
  const auto options = parse_roofline(arguments);
  if (!options) return options.error();
  return make_learned_step_time({.shape = make_roofline_shape(*options)});
}

}  // namespace

const std::vector<StepTimeRow>& step_time_models() {
  static const std::vector<StepTimeRow> table = {
      {"constant", "constant:20ms", &make_constant},
      {"linear", "linear:BASE,PER_PREFILL_TOKEN,PER_DECODE", &make_linear},
      {"recorded", "recorded", &make_recorded},
      {"fitted", "fitted", &make_fitted},
      {"roofline", "roofline:CARD,CONFIG.json[,bfloat16|fp8[,TP]]", &make_roofline},
  };
  return table;
}

Result<std::unique_ptr<StepTimeModel>> parse_step_time(std::string_view text,
                                                       const std::vector<StepSample>& samples) {
  if (is_model_file(text)) {
    const auto file = read_model_file(std::string(text));
    if (!file) return Error(file.error()).with_context("steptime");
    return make_step_time(*file);
  }
  const std::string_view name = text.substr(0, text.find(':'));
  std::vector<std::string> usages = {"MODEL.json"};
  for (const StepTimeRow& row : step_time_models()) {
    if (row.name == name) {
      return row.make(name.size() < text.size() ? text.substr(name.size() + 1) : "", samples);
    }
    usages.emplace_back(row.usage);
  }
  return invalid_argument("steptime: got " + quote(text) + ", expected one of " +
                          join(usages, " | "));
}

}  // namespace touchstone::simulator
