// Prefill and decode apart: closed forms of the link and of the two stations, and the books.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "tests/simulator/queueing.h"

namespace touchstone::simulator {
namespace {

using ::testing::HasSubstr;

/// Keeps both kinds of record.
class BothKeeper final : public Observer {
 public:
  void on_step(const StepView& step) override {
    external += step.plan.scheduled.empty() ? 0 : step.plan.scheduled.front().num_external_tokens;
  }
  void on_request(int32_t replica, const records::RequestRecord& r) override {
    answered.push_back(r);
    by_replica[r.id] = replica;
  }
  void on_prefilled(int32_t, const records::RequestRecord& r) override { prefilled.push_back(r); }
  void on_lost(const SimulatedRequest&, Loss loss, int64_t) override { lost.push_back(loss); }
  std::vector<records::RequestRecord> answered;
  std::vector<records::RequestRecord> prefilled;
  std::map<uint64_t, int32_t> by_replica;
  std::vector<Loss> lost;
  int64_t external = 0;
};

class Disaggregation : public ::testing::Test {
 protected:
  Result<SimulationEnd> run(std::vector<SimulatedRequest> requests) {
    ListSource source(std::move(requests));
    const auto front = make_least_requests_router();
    const auto back = make_least_requests_router();
    return run_simulation(replicas(), *front, source, keeper_, 0, fleet_, back.get());
  }
  std::vector<ReplicaOptions> replicas() const {
    std::vector<ReplicaOptions> all;
    for (int i = 0; i < prefill_; ++i) all.push_back({config_, *model_, 0, Role::kPrefill});
    for (int i = 0; i < decode_; ++i) all.push_back({config_, *model_, 0, Role::kDecode});
    return all;
  }
  scheduler::Config config_ = small_config();
  int prefill_ = 1;
  int decode_ = 1;
  /// A step is 1000 ns, 10 more for each prefill token and 100 for each decode request.
  std::unique_ptr<StepTimeModel> model_ = make_linear_step_time({1000, 10, 100});
  /// A token of keys and values takes 4 ns on the link.
  FleetOptions fleet_{
      .link = TransferLink{.latency_ns = 500, .bytes_per_s = 1e9, .bytes_per_token = 4}};
  BothKeeper keeper_;
};

TEST_F(Disaggregation, ARequestTakesItsPrefillTheLinkAndItsDecodeSteps) {
  ASSERT_TRUE(run({simulated(1, 50, 20, 3)}).has_value());
  ASSERT_EQ(keeper_.prefilled.size(), 1u);
  ASSERT_EQ(keeper_.answered.size(), 1u);
  const records::RequestRecord& r = keeper_.answered[0];
  const int64_t prefilled_ns = 50 + 1000 + 20 * 10;
  EXPECT_EQ(keeper_.prefilled[0].finished_ns, prefilled_ns);
  EXPECT_EQ(keeper_.prefilled[0].completion_tokens, 1);
  const int64_t there_ns = prefilled_ns + 20 * 4 + 500;
  EXPECT_EQ(r.arrival_ns, 50) << "its client knows nothing of all this";
  EXPECT_EQ(*r.queued_ns, there_ns);
  EXPECT_EQ(*r.first_token_ns, there_ns + 1100) << "the last prompt token is computed again";
  EXPECT_EQ(r.finished_ns, there_ns + 3 * 1100);
  EXPECT_EQ(r.completion_tokens, 3);
  EXPECT_EQ(keeper_.external, 19) << "all but one token came over the link";
  EXPECT_EQ(keeper_.by_replica[1], 1);
}

TEST_F(Disaggregation, PromptsGoOverALinkOneAfterTheOther) {
  // Both are computed in one step and leave together, each for a server of its own.
  decode_ = 2;
  ASSERT_TRUE(run({simulated(1, 0, 10, 1), simulated(2, 0, 10, 1)}).has_value());
  ASSERT_EQ(keeper_.answered.size(), 2u);
  EXPECT_EQ(*keeper_.answered[1].queued_ns - *keeper_.answered[0].queued_ns, 10 * 4)
      << "the second one waits for the first one's turn";
}

TEST_F(Disaggregation, WithoutALinksCostAPromptWaitsOneStepMoreThanInOneServer) {
  fleet_.link = TransferLink{.latency_ns = 0, .bytes_per_s = 1e18, .bytes_per_token = 1};
  ASSERT_TRUE(run({simulated(1, 0, 25, 6)}).has_value());
  Keeper together;
  ListSource source({simulated(1, 0, 25, 6)});
  ASSERT_TRUE(run_simulation(config_, source, *model_, together).has_value());
  EXPECT_EQ(keeper_.answered[0].finished_ns, together.requests[0].finished_ns + 1100)
      << "the step that gives the first token again";
}

/// Burke: what leaves an M/M/1 is Poisson, so that the second station is an M/M/1 by itself.
TEST_F(Disaggregation, TwoStationsInARowAreAnMM1Each) {
  constexpr double kMeanTokens = 500;  // of prompt and of answer; one takes a microsecond
  constexpr double kLoad = 0.6;
  constexpr int kCustomers = 60'000;
  config_ = {.num_blocks = 600,
             .block_size = 128,
             .max_num_seqs = 1,
             .max_num_batched_tokens = 65'536,
             .max_model_len = 65'536,
             .enable_prefix_caching = false};
  model_ = make_linear_step_time({0, 1000, 1000});
  fleet_.link = TransferLink{.latency_ns = 0, .bytes_per_s = 1e18, .bytes_per_token = 1};
  RandomStream random(11, "tandem");
  std::vector<SimulatedRequest> requests;
  int64_t now_ns = 0;
  for (uint64_t id = 1; id <= kCustomers; ++id) {
    now_ns += std::llround(random.exponential(kMeanTokens * 1000 / kLoad));
    const auto tokens = [&] {
      return static_cast<int32_t>(
          std::max<int64_t>(1, std::llround(random.exponential(kMeanTokens))));
    };
    const int32_t prompt = tokens();
    requests.push_back(simulated(id, now_ns, prompt, tokens()));
  }
  ASSERT_TRUE(run(std::move(requests)).has_value());
  const auto waits = [&](const std::vector<records::RequestRecord>& records, bool second) {
    std::vector<Waits::Customer> customers;
    for (const records::RequestRecord& r : records) {
      const int64_t from_ns = second ? *r.queued_ns : r.arrival_ns;
      customers.push_back({from_ns, *r.first_scheduled_ns - from_ns, r.finished_ns});
    }
    std::sort(customers.begin(), customers.end(),
              [](const auto& a, const auto& b) { return a.arrival_ns < b.arrival_ns; });
    return mean_wait(customers);
  };
  const double theory_ns = kMeanTokens * 1000 * kLoad / (1 - kLoad);
  const Estimate first = waits(keeper_.prefilled, false);
  EXPECT_NEAR(first.mean, theory_ns, first.half);
  const Estimate second = waits(keeper_.answered, true);
  EXPECT_NEAR(second.mean, theory_ns, second.half);
  EXPECT_LT(second.half, 0.12 * theory_ns);
}

/// Random loads, crashes, clients that go: nobody is lost or answered twice.
TEST_F(Disaggregation, EveryRequestIsAccountedFor) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    keeper_ = {};
    prefill_ = 2;
    decode_ = 3;
    RandomStream random(seed, "accounts");
    std::vector<SimulatedRequest> requests;
    int64_t now_ns = 0;
    for (uint64_t id = 1; id <= 120; ++id) {
      now_ns += random.between(0, 900);
      requests.push_back(simulated(id, now_ns, static_cast<int32_t>(random.between(1, 60)),
                                   static_cast<int32_t>(random.between(1, 20))));
      if (random.below(4) == 0) requests.back().abort_ns = now_ns + random.between(0, 20'000);
    }
    fleet_.in_flight_max = 4;
    fleet_.outages = {{0, 20'000, 5'000}, {3, 40'000, 9'000}};
    ASSERT_TRUE(run(std::move(requests)).has_value());
    const int64_t gave_up = std::count(keeper_.lost.begin(), keeper_.lost.end(), Loss::kGaveUp);
    EXPECT_EQ(std::ssize(keeper_.answered) + gave_up, 120) << seed;
    std::map<uint64_t, int> times;
    for (const records::RequestRecord& r : keeper_.answered) ++times[r.id];
    for (const auto& [id, count] : times) EXPECT_EQ(count, 1) << seed << ": request " << id;
    for (const records::RequestRecord& r : keeper_.answered) {
      if (r.outcome == records::Outcome::kAbort) continue;
      EXPECT_GE(keeper_.by_replica[r.id], 2) << seed;
    }
  }
}

TEST_F(Disaggregation, WhoGoesWhileThePromptIsOnTheLinkIsNotDecoded) {
  auto request = simulated(1, 0, 20, 50);
  request.abort_ns = 1250;  // it leaves the first server at 1200
  ASSERT_TRUE(run({request}).has_value());
  ASSERT_EQ(keeper_.answered.size(), 1u);
  EXPECT_EQ(keeper_.answered[0].outcome, records::Outcome::kAbort);
  EXPECT_EQ(keeper_.answered[0].completion_tokens, 0);
}

TEST_F(Disaggregation, WhatDoesNotFitTogetherIsRefused) {
  const auto problem = [&] { return run({simulated(1, 0, 3, 3)}).error().message; };
  decode_ = 0;
  EXPECT_THAT(problem(), HasSubstr("role: got 1 prefill, 0 decode and 0 other replicas"));
  decode_ = 1;
  fleet_.link.reset();
  EXPECT_THAT(problem(), HasSubstr("transfer: got no link"));
  fleet_.link = TransferLink{.latency_ns = 0, .bytes_per_s = 0, .bytes_per_token = 1};
  EXPECT_THAT(problem(), HasSubstr("transfer: got no link"));
  fleet_.link = TransferLink{.latency_ns = 0, .bytes_per_s = 1, .bytes_per_token = 1};
  fleet_.autoscaler = AutoscalerOptions{};
  EXPECT_THAT(problem(), HasSubstr("autoscaler: got it with roles"));
  fleet_.autoscaler.reset();
  prefill_ = decode_ = 0;
  ListSource source({});
  const auto router = make_round_robin_router();
  const ReplicaOptions both{config_, *model_};
  const auto end = run_simulation({&both, 1}, *router, source, keeper_, 0, fleet_, router.get());
  EXPECT_THAT(end.error().message, HasSubstr("transfer: got it without replicas of role"));
}

}  // namespace
}  // namespace touchstone::simulator
