// What the scheduler costs per running request and step: schedule() and complete() together.
#include <benchmark/benchmark.h>

#include <numeric>

#include "reference_engine/scheduler/block_hash.h"
#include "reference_engine/scheduler/scheduler.h"

namespace touchstone::scheduler {
namespace {

NewRequest make_request(RequestId id, int32_t prompt, int32_t output) {
  std::vector<TokenId> tokens(static_cast<size_t>(prompt));
  std::iota(tokens.begin(), tokens.end(), static_cast<TokenId>(id * 7919));
  // Half of the prompt is shared by a sixteenth of the requests.
  for (int32_t i = 0; i < prompt / 2; ++i) {
    tokens[static_cast<size_t>(i)] = static_cast<TokenId>(id % 16);
  }
  NewRequest request{.id = id, .max_tokens = output, .ignore_eos = true};
  set_prompt(request, {}, tokens, 16);
  return request;
}

/// Takes steps; with async_scheduling always one plan ahead.
class Stepper {
 public:
  explicit Stepper(Scheduler& scheduler) : scheduler_(scheduler) {}

  int64_t step() {
    const StepPlan& plan = scheduler_.schedule();
    std::vector<SampledToken>& sampled = sampled_[next_];
    sampled.clear();
    for (const ScheduledRequest& r : plan.scheduled) {
      if (r.samples_token) sampled.push_back({r.id, 42, false});
    }
    const int64_t requests = std::ssize(plan.scheduled);
    if (scheduler_.config().async_scheduling) next_ = 1 - next_;
    const bool ahead = scheduler_.config().async_scheduling && requests > 0;
    if (scheduler_.plans_in_flight() > (ahead ? 1 : 0)) {
      benchmark::DoNotOptimize(scheduler_.complete(sampled_[next_]).data());
    }
    return requests;
  }

 private:
  Scheduler& scheduler_;
  std::vector<SampledToken> sampled_[2];
  size_t next_ = 0;
};

void report(benchmark::State& state, int64_t request_steps) {
  state.SetItemsProcessed(request_steps);
  state.counters["per_request_step"] =
      benchmark::Counter(static_cast<double>(request_steps),
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

/// A full batch that only decodes, hashing what it fills.
void decode(benchmark::State& state, bool async) {
  const int32_t batch = static_cast<int32_t>(state.range(0));
  constexpr int32_t kLength = 100'000;
  Scheduler scheduler({.num_blocks = 1 + int64_t{batch} * (kLength / 16 + 1),
                       .max_num_seqs = batch,
                       .max_num_batched_tokens = 1 << 20,
                       .max_model_len = kLength,
                       .async_scheduling = async});
  for (int32_t id = 1; id <= batch; ++id) {
    (void)scheduler.add(make_request(static_cast<RequestId>(id), 512, kLength));
  }
  Stepper stepper(scheduler);
  stepper.step();
  int64_t request_steps = 0;
  for (auto _ : state) {
    request_steps += stepper.step();
    if (!scheduler.has_requests()) state.SkipWithError("the requests ended: fewer iterations");
  }
  report(state, request_steps);
}
void BM_Decode(benchmark::State& state) { decode(state, false); }
void BM_DecodeAsync(benchmark::State& state) { decode(state, true); }
BENCHMARK(BM_DecodeAsync)->Arg(16)->Arg(64)->Arg(256)->Iterations(90'000);
BENCHMARK(BM_Decode)->Arg(16)->Arg(64)->Arg(256)->Iterations(90'000);

/// A full batch of 512 in, 64 out: one that ends is followed by another, with prefix hits, chunked
/// prefill and eviction. The making of the requests is not measured.
void mixed(benchmark::State& state, bool async) {
  const int32_t batch = static_cast<int32_t>(state.range(0));
  Scheduler scheduler({.num_blocks = 1 + int64_t{batch} * 30,  // tighter than 36 a request
                       .max_num_seqs = batch,
                       .max_num_batched_tokens = std::max(batch, 512),
                       .max_model_len = 2048,
                       .async_scheduling = async});
  RequestId next_id = 1;
  Stepper stepper(scheduler);
  int64_t request_steps = 0;
  const auto fill = [&] {
    while (scheduler.state().waiting < 4) (void)scheduler.add(make_request(next_id++, 512, 64));
  };
  for (int i = 0; i < 1000; ++i) {  // reach the steady state
    fill();
    stepper.step();
  }
  for (auto _ : state) {
    if (scheduler.state().waiting < 4) {
      state.PauseTiming();
      fill();
      state.ResumeTiming();
    }
    request_steps += stepper.step();
  }
  report(state, request_steps);
  state.counters["preemptions"] = static_cast<double>(scheduler.counters().preemptions);
}
void BM_Mixed(benchmark::State& state) { mixed(state, false); }
void BM_MixedAsync(benchmark::State& state) { mixed(state, true); }
BENCHMARK(BM_MixedAsync)->Arg(16)->Arg(64)->Arg(256)->Iterations(20'000);
BENCHMARK(BM_Mixed)->Arg(16)->Arg(64)->Arg(256)->Iterations(20'000);

}  // namespace
}  // namespace touchstone::scheduler

BENCHMARK_MAIN();
