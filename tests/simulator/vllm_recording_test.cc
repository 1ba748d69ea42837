// The scheduler against a recorded vLLM 0.32.0 that was short of KV blocks: the same requests,
// block count and budgets must give the preemptions, prefix-cache queries and hits that it
// reported.
//
// Step times are not in the recording. Its sixteen concurrent requests took 8.4 s in about 650
// steps, 13 ms each, and from 13 ms on every constant gives exactly the recorded counts, request by
// request. Below 13 ms one preemption more comes out: the eight that were queued 32 ms after the
// others then arrive several steps later instead of two, which shifts who is short of a block when.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "tests/simulator/support.h"
#include "tests/support/paths.h"

namespace touchstone::simulator {
namespace {

// From the recorded /metrics page.
constexpr int64_t kQueries = 2615;
constexpr int64_t kHits = 1408;
constexpr int64_t kPreemptions = 23;
/// request_num_preemptions: how many requests were preempted so many times; 73 were completed.
const std::map<int64_t, int> kPreemptedTimes = {{0, 60}, {1, 6}, {2, 5}, {3, 1}, {4, 1}};

/// Passes requests on; those that asked for log-probabilities of the prompt do not read the cache.
class RecordedSource final : public RequestSource {
 public:
  RecordedSource(const workload::Workload& workload, const scheduler::Config& config)
      : source_(make_workload_source(workload, config)) {}
  Result<bool> next(SimulatedRequest& request) override {
    auto there = source_->next(request);
    const std::set<std::string> prompt_logprobs = {"prompt_logprobs", "echo logprobs"};
    request.request.skip_reading_prefix_cache = prompt_logprobs.contains(request.name);
    return there;
  }

 private:
  std::unique_ptr<RequestSource> source_;
};

TEST(VllmRecording, PreemptionsQueriesAndHitsAreThoseReported) {
  const auto workload = workload::read_workload(support::source_dir() +
                                                "/fixtures/scheduler/vllm-0.32.0/workload.jsonl");
  ASSERT_TRUE(workload.has_value()) << workload.error().message;
  const scheduler::Config config{.num_blocks = 28,
                                 .block_size = 32,
                                 .max_num_seqs = 8,
                                 .max_num_batched_tokens = 512,
                                 .max_model_len = 512};
  for (const int64_t step_ms : {13, 14, 15, 20}) {
    RecordedSource source(*workload, config);
    const auto model = make_constant_step_time(step_ms * 1'000'000);
    Keeper keeper;
    const auto end = run_simulation(config, source, *model, keeper);
    ASSERT_TRUE(end.has_value()) << end.error().message;
    EXPECT_EQ(end->counters[0].prefix_cache_queries, kQueries) << step_ms << " ms";
    EXPECT_EQ(end->counters[0].prefix_cache_hits, kHits) << step_ms << " ms";
    EXPECT_EQ(end->counters[0].preemptions, kPreemptions) << step_ms << " ms";
    std::map<int64_t, int> times;
    std::map<std::string, records::RequestRecord> by_name;
    for (const records::RequestRecord& r : keeper.requests) {
      by_name[r.request_id.substr(std::string("cmpl-").size())] = r;
      if (r.outcome != records::Outcome::kAbort) ++times[r.preemptions];
    }
    EXPECT_EQ(times, kPreemptedTimes) << step_ms << " ms";

    // cached_tokens of the recorded answers that tell them.
    const std::pair<const char*, int64_t> cached[] = {{"completion again (prefix hit)", 0},
                                                      {"completion prefix hit", 64},
                                                      {"pressure 0", 64},
                                                      {"pressure 2", 96},
                                                      {"pressure 4", 96},
                                                      {"pressure 6", 64},
                                                      {"pressure 8", 96},
                                                      {"pressure 10", 64},
                                                      {"pressure 12", 96},
                                                      {"pressure 14", 128}};
    for (const auto& [name, tokens] : cached) {
      EXPECT_EQ(by_name.at(name).cached_tokens, tokens) << name << ", " << step_ms << " ms";
    }
    // Their spans say that these pairs left the queue together.
    for (const auto& [a, b] :
         {std::pair{"pressure 9", "pressure 10"}, {"pressure 12", "pressure 14"}}) {
      EXPECT_EQ(by_name.at(a).first_scheduled_ns, by_name.at(b).first_scheduled_ns) << a;
    }
  }
}

}  // namespace
}  // namespace touchstone::simulator
