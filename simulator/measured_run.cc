#include "simulator/measured_run.h"

#include <algorithm>
#include <utility>

#include "records/run_folder.h"
#include "reference_engine/lifecycle/schedule_log.h"

namespace touchstone::simulator {
namespace {

bool is_abort(const records::StepInput& input) {
  return input.kind == records::StepInput::Kind::kAbort;
}

}  // namespace

Result<MeasuredRun> read_measured_run(const std::string& folder) {
  auto log = records::read_step_log(folder + "/" + records::run_files::kSteps);
  if (!log) return std::move(log).error();
  auto config = lifecycle::config_of(log->header);
  if (!config) return std::move(config).error().with_context(folder);
  auto records = records::read_request_records(folder + "/" + records::run_files::kRecords);
  if (!records) return std::move(records).error();
  for (const records::RequestRecord& record : *records) {
    if (record.block_hashes.empty() || record.block_size == config->block_size) continue;
    return invalid_argument(
        folder + "/" + records::run_files::kRecords + ": request " + record.request_id +
        ": block_size: got " + std::to_string(record.block_size) + ", expected " +
        std::to_string(config->block_size) + std::string(" as in ") + records::run_files::kSteps);
  }
  return MeasuredRun{*config, std::move(*log), std::move(*records)};
}

std::vector<StepSample> step_samples(const records::StepLog& log) {
  // Steps that are planned ahead start at the end of the one before: nothing lies between them.
  const auto ahead = log.header.config.find("async_scheduling");
  const bool planned_ahead =
      ahead != log.header.config.end() && ahead->second == records::Settings::mapped_type(true);
  std::vector<StepSample> samples;
  for (size_t i = 0; i < log.steps.size(); ++i) {
    const records::StepRecord& step = log.steps[i];
    if (step.requests.empty()) continue;
    int64_t duration_ns = step.duration_ns;
    if (!planned_ahead && i + 1 < log.steps.size()) {
      const records::StepRecord& next = log.steps[i + 1];
      // Those whose clients went away meanwhile may have left nothing to do.
      const int64_t left = step.running + step.waiting - std::ssize(step.finished) -
                           std::count_if(next.inputs.begin(), next.inputs.end(), is_abort);
      if (left > 0) duration_ns = std::max(duration_ns, next.start_ns - step.start_ns);
    }
    samples.push_back({features_of(step), duration_ns});
  }
  return samples;
}

}  // namespace touchstone::simulator
