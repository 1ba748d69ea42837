// A run of the reference engine: its records say everything.
#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "records/run_folder.h"
#include "simulator/measured/readers.h"
#include "simulator/measured_run.h"

namespace touchstone::simulator {
namespace {

using records::RequestRecord;

MeasuredTimes times_of(const RequestRecord& r) {
  MeasuredTimes times;
  const bool whole = r.outcome == records::Outcome::kStop || r.outcome == records::Outcome::kLength;
  if (!whole || !r.queued_ns || !r.first_scheduled_ns || !r.first_token_ns || !r.last_token_ns) {
    return times;
  }
  times.ttft_s = to_seconds(*r.first_token_ns - r.arrival_ns);
  times.e2e_s = to_seconds(r.finished_ns - r.arrival_ns);
  times.queue_s = to_seconds(*r.first_scheduled_ns - *r.queued_ns);
  times.prefill_s = to_seconds(*r.first_token_ns - *r.first_scheduled_ns);
  times.decode_s = to_seconds(*r.last_token_ns - *r.first_token_ns);
  if (r.completion_tokens > 1) {
    times.tpot_s = *times.decode_s / static_cast<double>(r.completion_tokens - 1);
  }
  return times;
}

void count(const MeasuredRun& run, MeasuredCounters& counters) {
  double steps = 0;
  double preemptions = 0;
  int64_t peak = 0;
  for (const records::StepRecord& step : run.log.steps) {
    steps += step.requests.empty() ? 0 : 1;
    preemptions += static_cast<double>(step.preempted.size());
    peak = std::max(peak, run.config.num_blocks - 1 - step.free_blocks);
  }
  double hits = 0;
  for (const RequestRecord& r : run.records) hits += static_cast<double>(r.cached_tokens);
  counters = {.steps = steps,
              .preemptions = preemptions,
              .prefix_hit_tokens = hits,
              .peak_kv_blocks = static_cast<double>(peak)};
}

}  // namespace

Result<MeasuredLoad> read_engine_load(const std::string& folder) {
  auto run = read_measured_run(folder);
  if (!run) return std::move(run).error();
  MeasuredLoad load{.path = folder, .config = run->config, .engine = run->log.header.engine};
  count(*run, load.counters);
  load.steps = step_samples(run->log);
  load.left_out = std::erase_if(run->records, [](const RequestRecord& r) {
    return r.outcome == records::Outcome::kRefused || !r.queued_ns;
  });
  if (run->records.empty()) {
    return unavailable(folder + ": got no request that was served, expected one or more");
  }
  std::sort(run->records.begin(), run->records.end(), [](const auto& a, const auto& b) {
    return std::pair(a.arrival_ns, a.id) < std::pair(b.arrival_ns, b.id);
  });
  const int64_t first_ns = run->records.front().arrival_ns;
  for (const RequestRecord& r : run->records) {
    MeasuredRequest measured{.times = times_of(r)};
    measured.request.name = r.request_id;
    measured.request.arrival_ns = r.arrival_ns - first_ns;
    measured.request.prompt_tokens = r.prompt_tokens;
    measured.request.output_tokens = r.completion_tokens;
    load.requests.push_back(std::move(measured));
  }
  load.records = std::move(run->records);
  for (const char* name : {records::run_files::kSteps, records::run_files::kRecords}) {
    RETURN_IF_ERROR(add_digest(folder + "/" + name, load));
  }
  const std::string server = folder + "/" + records::run_files::kServer;
  MeasuredLoad described;
  if (read_server(server, described)) {
    load.model = described.model;
    load.hardware = described.hardware;
  }
  return load;
}

}  // namespace touchstone::simulator
