#include "simulator/planner/trial.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "base/clock.h"
#include "base/random.h"
#include "base/text.h"
#include "simulator/closed_loop.h"
#include "simulator/frontend.h"
#include "simulator/session_source.h"
#include "simulator/simulation.h"

namespace touchstone::simulator {
namespace {

/// Another model's times, so many times as long.
class ScaledStepTime final : public StepTimeModel {
 public:
  ScaledStepTime(const StepTimeModel& model, double factor) : model_(model), factor_(factor) {}
  int64_t duration_ns(const StepFeatures& features, StepNoise& noise) const override {
    const int64_t ns = model_.duration_ns(features, noise);
    if (factor_ == 1) return ns;
    const double scaled = static_cast<double>(ns) * factor_;
    return scaled < 9e18 ? std::max<int64_t>(1, std::llround(scaled)) : INT64_MAX;
  }
  Validity validity() const override { return model_.validity(); }
  FrontendLatency frontend() const override { return model_.frontend(); }
  std::string describe() const override { return model_.describe(); }

 private:
  const StepTimeModel& model_;
  const double factor_;
};

/// Keeps what the limits are judged by, and what steps ran into.
class TrialObserver final : public Observer {
 public:
  /// `sent`: how many requests the trial has, when it may end early; else 0.
  TrialObserver(const scheduler::Config& config, const Slos& slos, size_t sent)
      : config_(config), slos_(slos), broken_(slos.limits.size()), sent_(sent) {}

  /// So many requests are beyond a limit that its quantile must be.
  bool is_broken() const { return is_broken_; }

  void on_step(const StepView& step) override {
    ++result.steps;
    busy_ns += step.duration_ns;
    result.preemptions += std::ssize(step.plan.preempted);
    result.extrapolated_steps += step.extrapolated;
    const scheduler::State& state = step.state;
    result.peak_running = std::max(result.peak_running, state.running);
    result.peak_used_blocks =
        std::max(result.peak_used_blocks, state.total_blocks - state.free_blocks);
    result.total_blocks = state.total_blocks;
    if (state.waiting <= state.waiting_deferred) return;
    if (state.running >= config_.max_num_seqs) {
      ++result.waited_for_seqs;
    } else if (step.plan.total_tokens >= config_.max_num_batched_tokens) {
      ++result.waited_for_tokens;
    } else {
      ++result.waited_for_blocks;
    }
  }

  void on_request(int32_t, const records::RequestRecord& r) override {
    first_arrival_ns = std::min(first_arrival_ns, r.arrival_ns);
    last_end_ns = std::max(last_end_ns, r.finished_ns);
    prompt_tokens += r.prompt_tokens;
    cached_tokens += r.cached_tokens;
    output_tokens += r.completion_tokens;
    if (r.outcome == records::Outcome::kAbort) return;  // the client did not want the rest
    RequestTimes times{.e2e_s = to_seconds(r.finished_ns - r.arrival_ns)};
    if (r.first_token_ns) times.ttft_s = to_seconds(*r.first_token_ns - r.arrival_ns);
    if (r.completion_tokens > 1 && r.first_token_ns && r.last_token_ns) {
      times.tpot_s = to_seconds(*r.last_token_ns - *r.first_token_ns) /
                     static_cast<double>(r.completion_tokens - 1);
    }
    requests.push_back(times);
    if (sent_ > 0) count_broken(times);
  }

  void on_lost(const SimulatedRequest&, Loss, int64_t) override { requests.push_back({}); }

  TrialResult result;
  std::vector<RequestTimes> requests;
  int64_t busy_ns = 0;
  int64_t first_arrival_ns = INT64_MAX;
  int64_t last_end_ns = 0;
  int64_t prompt_tokens = 0;
  int64_t cached_tokens = 0;
  int64_t output_tokens = 0;

 private:
  void count_broken(const RequestTimes& times) {
    for (size_t i = 0; i < slos_.limits.size(); ++i) {
      const Slo& slo = slos_.limits[i];
      const std::optional<double>& time = slo.phase == Phase::kTtft   ? times.ttft_s
                                          : slo.phase == Phase::kTpot ? times.tpot_s
                                                                      : times.e2e_s;
      if (!time || *time <= slo.limit_s) continue;
      ++broken_[i];
      const double may = (1 - slo.quantile) * static_cast<double>(sent_);
      is_broken_ = is_broken_ || static_cast<double>(broken_[i]) > may + 1;
    }
  }

  const scheduler::Config config_;
  const Slos& slos_;
  std::vector<int64_t> broken_;  // requests beyond each limit
  const size_t sent_;
  bool is_broken_ = false;
};

void scale(double factor, int64_t most, int64_t& tokens) {
  if (factor == 1) return;
  tokens = std::clamp<int64_t>(std::llround(static_cast<double>(tokens) * factor), 1, most);
}

/// A copy's sessions and blocks are its own.
void set_apart(int64_t copy, workload::Request& request) {
  if (!request.session.empty()) request.session += "#" + std::to_string(copy);
  for (uint64_t& id : request.prefix_block_ids) {
    uint64_t state = id + static_cast<uint64_t>(copy) * 0x9e3779b97f4a7c15;
    id = splitmix64(state) >> 1;
  }
}

/// The trace as the trial wants it.
WorkloadFeed feed_of(const Trace& trace, const Trial& trial, const TrialObserver& observer) {
  const auto arrivals =
      std::make_shared<std::vector<Trace::Arrival>>(trace.arrivals(trial.replication));
  const size_t count =
      std::min(arrivals->size(), static_cast<size_t>(std::max<int64_t>(0, trial.requests)));
  return [&trace, &observer, trial, arrivals, count,
          next = size_t{0}](workload::Request& request) mutable -> Result<bool> {
    if (next == count || observer.is_broken()) return false;
    const Trace::Arrival& arrival = (*arrivals)[next++];
    request = trace.requests()[arrival.request];
    request.arrival_ns = static_cast<int64_t>(static_cast<double>(arrival.time_ns) / trial.rate);
    if (arrival.copy > 0) set_apart(arrival.copy, request);
    const int64_t longest = trial.config.max_model_len - 1;
    scale(trial.prompt_tokens, longest, request.prompt_tokens);
    scale(trial.output_tokens, INT32_MAX, request.output_tokens);
    if (request.prefix_block_size > 0) {
      const auto fits = static_cast<size_t>(request.prompt_tokens / request.prefix_block_size);
      if (request.prefix_block_ids.size() > fits) request.prefix_block_ids.resize(fits);
    }
    return true;
  };
}

}  // namespace

Result<Trace> Trace::read(workload::RequestReader& reader, int64_t most) {
  std::vector<workload::Request> requests;
  workload::Request request;
  while (std::ssize(requests) < most) {
    const auto there = reader.next(request);
    if (!there) return there.error();
    if (!*there) break;
    if (!request.raw_body && request.expect_status == 200) requests.push_back(std::move(request));
  }
  return of(std::move(requests), reader.where());
}

Result<Trace> Trace::of(std::vector<workload::Request> requests, const std::string& where) {
  if (requests.empty()) {
    return invalid_argument(where + ": got no request, expected one or more");
  }
  Trace trace;
  trace.requests_ = std::move(requests);
  const int64_t first_ns = trace.requests_.front().arrival_ns;
  for (workload::Request& r : trace.requests_) {
    if (r.prompt_tokens < 1 || r.output_tokens < 1) {
      return invalid_argument(where + ": request " + r.name +
                                  ": got no lengths, expected prompt_tokens and output_tokens",
                              "a planner cannot know how long prompts and answers are");
    }
    r.arrival_ns -= first_ns;
    trace.longest_prompt_ = std::max(trace.longest_prompt_, r.prompt_tokens);
  }
  return trace;
}

double Trace::rate_per_s() const {
  const double seconds = to_seconds(requests_.back().arrival_ns);
  return seconds > 0 ? static_cast<double>(requests_.size() - 1) / seconds : 0;
}

std::vector<Trace::Arrival> Trace::arrivals(uint64_t replication) const {
  const int64_t slice_ns = requests_.back().arrival_ns / kSlices + 1;
  std::vector<std::vector<size_t>> slices(kSlices);
  for (size_t i = 0; i < requests_.size(); ++i) {
    slices[static_cast<size_t>(requests_[i].arrival_ns / slice_ns)].push_back(i);
  }
  RandomStream random(replication, "slices of a trace");
  std::vector<int64_t> copies(kSlices, 0);
  std::vector<Arrival> arrivals;
  arrivals.reserve(requests_.size());
  for (int64_t place = 0; place < kSlices; ++place) {
    const int64_t from =
        replication == 0 ? place : static_cast<int64_t>(random.below(uint64_t{kSlices}));
    const int64_t copy = copies[static_cast<size_t>(from)]++;
    for (const size_t i : slices[static_cast<size_t>(from)]) {
      arrivals.push_back({requests_[i].arrival_ns + (place - from) * slice_ns, i, copy});
    }
  }
  // Nothing but empty slices can be drawn from a trace of a few bursts.
  return arrivals.empty() ? this->arrivals(0) : arrivals;
}

const char* TrialResult::bottleneck() const {
  const int64_t most = std::max({waited_for_seqs, waited_for_tokens, waited_for_blocks});
  // A step now and then that was full is no bottleneck.
  if (most * 20 < steps) return "step time";
  if (most == waited_for_blocks) return "KV blocks";
  return most == waited_for_seqs ? "max-num-seqs" : "max-num-batched-tokens";
}

Result<TrialResult> run_trial(const Trace& trace, const Trial& trial, const Slos& slos) {
  const ScaledStepTime model(*trial.model, trial.step_time);
  const std::vector<ReplicaOptions> replicas = [&] {
    std::vector<ReplicaOptions> all;
    for (int64_t i = 0; i < trial.replicas; ++i) all.push_back({trial.config, model});
    return all;
  }();
  const auto router = make_router(trial.router, {.seed = trial.replication,
                                                 .cache_blocks = trial.config.num_blocks,
                                                 .block_size = trial.config.block_size});
  if (!router) return router.error();
  TrialObserver observer(trial.config, slos, trial.stop_when_broken ? trace.requests().size() : 0);
  const auto source = trial.one_at_a_time
                          ? make_closed_loop_source(
                                {.concurrency = 1},
                                make_workload_source(feed_of(trace, trial, observer), trial.config))
                          : make_session_source(feed_of(trace, trial, observer), trial.config);
  // Limits are the clients'.
  FrontendObserver clients(replicas, observer);
  const auto end = run_simulation(replicas, **router, *source, clients, trial.replication);
  if (!end) return end.error();
  TrialResult result = observer.result;
  if (observer.requests.empty()) {
    return invalid_argument("got no request that ran to its end, expected one or more");
  }
  result.attainment = attain(slos, observer.requests);
  if (observer.is_broken()) result.cut_short = true;
  const double time_s = to_seconds(observer.last_end_ns - observer.first_arrival_ns);
  if (time_s > 0) {
    result.busy_share =
        to_seconds(observer.busy_ns) / (time_s * static_cast<double>(trial.replicas));
    result.output_tokens_per_s = static_cast<double>(observer.output_tokens) / time_s;
  }
  if (observer.prompt_tokens > 0) {
    result.cached_share =
        static_cast<double>(observer.cached_tokens) / static_cast<double>(observer.prompt_tokens);
  }
  return result;
}

}  // namespace touchstone::simulator
