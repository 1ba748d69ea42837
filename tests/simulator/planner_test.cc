// The planner: limits, searches that prove their answer, fleets.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "base/clock.h"
#include "base/files.h"
#include "base/parallel.h"
#include "simulator/planner/plan.h"
#include "simulator/planner/search.h"
#include "tests/simulator/support.h"
#include "workload/generate.h"

namespace touchstone::simulator {
namespace {

using ::testing::HasSubstr;

TEST(Slo, IsReadAndRefused) {
  const auto slo = parse_slo("ttft:p99.9:250ms");
  ASSERT_TRUE(slo.has_value());
  EXPECT_EQ(slo->phase, Phase::kTtft);
  EXPECT_DOUBLE_EQ(slo->quantile, 0.999);
  EXPECT_DOUBLE_EQ(slo->limit_s, 0.25);
  EXPECT_EQ(name_of(*slo), "ttft p99.9");
  for (const char* bad :
       {"", "ttft", "ttft:p95", "ttft:95:1s", "itl:p95:1s", "ttft:p0:1s", "ttft:p100:1s",
        "ttft:pnan:1s", "ttft:p95:0s", "ttft:p95:-1s", "ttft:p95:1", "ttft:p95:1s:2"}) {
    EXPECT_FALSE(parse_slo(bad).has_value()) << bad;
  }
}

TEST(Slo, IsKeptByTheNearestRankAndBrokenByTheUnserved) {
  Slos slos{.limits = {{Phase::kTtft, 0.9, 1.0}, {Phase::kTpot, 0.5, 0.1}}, .goodput = 0.8};
  std::vector<RequestTimes> requests(10);
  for (size_t i = 0; i < 10; ++i) {
    requests[i] = {.ttft_s = 0.1 * static_cast<double>(i + 1), .tpot_s = {}, .e2e_s = 2};
  }
  requests[0].tpot_s = 0.05;
  Attainment a = attain(slos, requests);
  EXPECT_DOUBLE_EQ(a.rows[0].value_s, 0.9);
  EXPECT_DOUBLE_EQ(a.rows[1].value_s, 0.05) << "of those that have one";
  EXPECT_TRUE(a.all_kept());
  EXPECT_DOUBLE_EQ(a.goodput, 1);
  requests[4] = requests[5] = requests[6] = {};  // refused
  a = attain(slos, requests);
  EXPECT_TRUE(std::isinf(a.rows[0].value_s));
  EXPECT_FALSE(a.goodput_kept);
  EXPECT_DOUBLE_EQ(a.goodput, 0.7);
  EXPECT_EQ(a.worst(slos), 0u);
}

TEST(Search, FindsTheLeastCountFromAnyGuessAndItsNeighbour) {
  for (int64_t most = 1; most <= 40; ++most) {
    for (int64_t truth = 1; truth <= most + 1; ++truth) {
      for (int64_t guess = 1; guess <= most; ++guess) {
        std::set<int64_t> asked;
        const auto found = least_count(guess, most, [&](int64_t n) -> Result<bool> {
          EXPECT_TRUE(n >= 1 && n <= most);
          EXPECT_TRUE(asked.insert(n).second) << "asked twice";
          return n >= truth;
        });
        ASSERT_TRUE(found.has_value());
        if (truth > most) {
          EXPECT_FALSE(found->least.has_value());
          continue;
        }
        ASSERT_EQ(found->least, truth);
        EXPECT_TRUE(asked.contains(truth));
        if (truth > 1) {
          EXPECT_EQ(found->fails, truth - 1);
          EXPECT_TRUE(asked.contains(truth - 1));
        } else {
          EXPECT_FALSE(found->fails.has_value());
        }
      }
    }
  }
}

TEST(Search, FindsTheHighestRateWithinItsPrecision) {
  for (const double truth : {1e-5, 2e-4, 0.3, 1.0, 7.7, 1023.0, 5000.0}) {
    for (const double guess : {1e-4, 1.0, 1024.0}) {
      const auto found = highest_rate(1e-4, guess, 1024, 0.02,
                                      [&](double rate) -> Result<bool> { return rate <= truth; });
      ASSERT_TRUE(found.has_value());
      if (truth < 1e-4) {
        EXPECT_FALSE(found->most.has_value());
      } else if (truth > 1024) {
        EXPECT_EQ(found->most, 1024);
        EXPECT_FALSE(found->fails.has_value());
      } else {
        EXPECT_LE(*found->most, truth);
        EXPECT_GT(*found->fails, truth);
        EXPECT_LE(*found->fails, *found->most * 1.02);
      }
    }
  }
}

TEST(Parallel, RunsEachJobOnce) {
  std::vector<int> runs(100);
  run_parallel(runs.size(), 4, [&](size_t i) { ++runs[i]; });
  EXPECT_EQ(runs, std::vector<int>(100, 1));
  run_parallel(0, 4, [&](size_t) { FAIL(); });
}

Trace trace_of(const workload::GenerateOptions& options) {
  workload::Generator generator(options);
  return Trace::read(generator, INT64_MAX).value();
}

const workload::GenerateOptions kLoad{.seed = 1,
                                      .requests = 1500,
                                      .rate_per_s = 20,
                                      .prompt_tokens = {.low = 50, .high = 300},
                                      .output_tokens = {.low = 10, .high = 60}};

HardwareRow row_of(const char* name, const char* step_time, double price) {
  return {.name = name,
          .step_time = step_time,
          .flags = {{"num_blocks", int64_t{2000}}, {"max_model_len", int64_t{1024}}},
          .price_per_hour = price};
}

PlanOptions options_of(std::vector<Slo> limits) {
  PlanOptions options;
  options.slos.limits = std::move(limits);
  options.tune = false;
  return options;
}

TEST(TraceOfAPlan, ReplicationsDrawWholeSlicesAndTellCopiesApart) {
  const Trace trace = trace_of(kLoad);
  const auto as_it_is = trace.arrivals(0);
  ASSERT_EQ(as_it_is.size(), 1500u);
  for (size_t i = 0; i < as_it_is.size(); ++i) {
    EXPECT_EQ(as_it_is[i].request, i);
    EXPECT_EQ(as_it_is[i].time_ns, trace.requests()[i].arrival_ns);
    EXPECT_EQ(as_it_is[i].copy, 0);
  }
  const auto other = trace.arrivals(1);
  const auto again = trace.arrivals(1);
  ASSERT_EQ(other.size(), again.size());
  EXPECT_NEAR(static_cast<double>(other.size()), 1500, 150);
  EXPECT_NE(other.size(), trace.arrivals(2).size());
  std::set<std::pair<size_t, int64_t>> seen;
  int64_t before_ns = 0;
  size_t breaks = 0;
  int64_t most_copies = 0;
  for (size_t i = 0; i < other.size(); ++i) {
    EXPECT_EQ(other[i].request, again[i].request);
    EXPECT_GE(other[i].time_ns, before_ns);
    before_ns = other[i].time_ns;
    EXPECT_TRUE(seen.emplace(other[i].request, other[i].copy).second) << "a copy comes once";
    breaks += i > 0 && other[i].request != other[i - 1].request + 1;
    most_copies = std::max(most_copies, other[i].copy);
  }
  EXPECT_LT(breaks, static_cast<size_t>(Trace::kSlices)) << "bursts stay whole";
  EXPECT_GE(most_copies, 1);
  EXPECT_LE(before_ns, trace.requests().back().arrival_ns + 20) << "it is as long";
}

/// Requests of equal blocks in two slices: the second copy of a slice must not hit the first.
TEST(TraceOfAPlan, CopiesShareNoBlocks) {
  std::vector<workload::Request> requests(40);
  for (size_t i = 0; i < requests.size(); ++i) {
    requests[i].arrival_ns = static_cast<int64_t>(i) * 1'000'000'000;
    requests[i].prompt_tokens = 64;
    requests[i].output_tokens = 2;
    requests[i].prefix_block_size = 16;
    requests[i].prefix_block_ids = {i * 10, i * 10 + 1, i * 10 + 2};  // no two share
  }
  const Trace trace = Trace::of(requests, "list").value();
  const auto hardware = make_hardware(row_of("one", "constant:10ms", 1), {});
  for (uint64_t replication = 0; replication < 4; ++replication) {
    const auto result = run_trial(
        trace,
        {.config = hardware->config, .model = hardware->model.get(), .replication = replication},
        {.limits = {{Phase::kTtft, 0.95, 1}}});
    ASSERT_TRUE(result.has_value());
    EXPECT_EQ(result->cached_share, 0) << replication;
  }
}

/// Constant steps behind a frontend that takes its time.
class BehindAFrontend final : public StepTimeModel {
 public:
  int64_t duration_ns(const StepFeatures&, StepNoise&) const override { return 10 * kNsPerMs; }
  Validity validity() const override { return {}; }
  FrontendLatency frontend() const override {
    return {.in_ns = 3e8, .in_ns_per_prompt_token = 0, .out_ns = 1e8, .out_ns_per_stream = 0};
  }
  std::string describe() const override { return "10 ms"; }
};

TEST(TraceOfAPlan, LimitsAreJudgedAsClientsSeeThem) {
  std::vector<workload::Request> requests(3);
  for (size_t i = 0; i < requests.size(); ++i) {
    requests[i].arrival_ns = static_cast<int64_t>(i) * kNsPerSecond;
    requests[i].prompt_tokens = 16;
    requests[i].output_tokens = 2;
  }
  const Trace trace = Trace::of(requests, "list").value();
  const BehindAFrontend model;
  const auto hardware = make_hardware(row_of("one", "constant:10ms", 1), {});
  const auto ttft_s = [&](const StepTimeModel& of) {
    const auto result = run_trial(trace, {.config = hardware->config, .model = &of},
                                  {.limits = {{Phase::kTtft, 0.95, 1}}});
    return result->attainment.rows[0].value_s;
  };
  EXPECT_NEAR(ttft_s(*hardware->model), 0.01, 1e-6) << "one step";
  EXPECT_NEAR(ttft_s(model), 0.41, 1e-6) << "the way in, a step, the way out";
}

/// The answer, found by asking every fleet.
TEST(Plan, FindsTheSmallestFleetAndProvesIt) {
  const Trace trace = trace_of(kLoad);
  const PlanOptions options = options_of({{Phase::kTtft, 0.95, 0.5}, {Phase::kTpot, 0.95, 0.05}});
  const auto plan = make_plan(trace, {row_of("one", "linear:20ms,200us,1500us", 2)}, options);
  ASSERT_TRUE(plan.has_value()) << plan.error().message;
  const HardwarePlan& found = plan->rows[0];
  ASSERT_EQ(found.impossible, "");
  const auto hardware = make_hardware(found.row, {});
  int64_t least = 0;
  for (int64_t n = 1; least == 0; ++n) {
    bool all = true;
    for (uint64_t r = 0; r < 3; ++r) {
      const auto result = run_trial(trace,
                                    {.config = hardware->config,
                                     .model = hardware->model.get(),
                                     .replicas = n,
                                     .replication = r},
                                    options.slos);
      all = all && result->attainment.all_kept();
    }
    if (all) least = n;
  }
  EXPECT_GT(least, 1);
  EXPECT_EQ(found.replicas, least);
  EXPECT_EQ(found.fails, least - 1);
  EXPECT_FALSE(found.fails_result->attainment.all_kept());
  ASSERT_EQ(found.results.size(), 3u);
  for (const TrialResult& result : found.results) EXPECT_TRUE(result.attainment.all_kept());
  EXPECT_LE(found.blocks_needed, 2000);
  EXPECT_EQ(plan->cheapest, 0u);
}

TEST(Plan, TheCheapestNeedNotBeTheSmallest) {
  const auto plan = make_plan(
      trace_of(kLoad),
      {row_of("fast", "linear:8ms,80us,400us", 9), row_of("slow", "linear:20ms,200us,1500us", 1)},
      options_of({{Phase::kTtft, 0.95, 0.5}, {Phase::kTpot, 0.95, 0.05}}));
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan->smallest, 0u);
  EXPECT_EQ(plan->cheapest, 1u);
  EXPECT_LT(plan->rows[0].replicas, plan->rows[1].replicas);
}

TEST(Plan, SaysWhyNoFleetWillDo) {
  const Trace trace = trace_of(kLoad);
  const auto impossible = [&](HardwareRow row, Slo slo) {
    const auto plan = make_plan(trace, {row}, options_of({slo}));
    EXPECT_TRUE(plan.has_value());
    EXPECT_FALSE(plan->cheapest.has_value());
    return plan->rows[0].impossible;
  };
  HardwareRow row = row_of("one", "linear:20ms,200us,1500us", 2);
  EXPECT_THAT(impossible(row, {Phase::kTpot, 0.95, 0.015}),
              HasSubstr("tpot p95 is 21.5 ms for requests alone on a replica, the limit is 15 ms"));
  row.flags["max_model_len"] = int64_t{256};
  EXPECT_THAT(impossible(row, {Phase::kTpot, 0.95, 1}), HasSubstr("max-model-len is 256"));
  row = row_of("one", "linear:20ms,200us,1500us", 2);
  row.most = 1;
  EXPECT_THAT(impossible(row, {Phase::kTtft, 0.95, 0.5}),
              HasSubstr("1 replicas, the most there are, are too few: ttft p95 is"));
}

TEST(Plan, MoreLoadNeverNeedsFewerReplicasAndEqualPlansAreEqual) {
  const Trace trace = trace_of(kLoad);
  const HardwareRow row = row_of("one", "linear:20ms,200us,1500us", 2);
  int64_t before = 0;
  for (const double rate : {0.5, 1.0, 2.0}) {
    PlanOptions options = options_of({{Phase::kTtft, 0.95, 0.5}});
    options.rate = rate;
    options.sensitivity = false;
    std::vector<std::string> texts;
    for (const size_t threads : {1u, 3u}) {
      options.threads = threads;
      const auto plan = make_plan(trace, {row}, options);
      ASSERT_TRUE(plan.has_value());
      EXPECT_GE(plan->rows[0].replicas, before);
      before = plan->rows[0].replicas;
      const auto report = plan_report(trace, *plan, options);
      ASSERT_TRUE(report.has_value());
      texts.push_back(report->summary + report->notes.back());
    }
    EXPECT_EQ(texts[0], texts[1]) << "threads change nothing";
  }
}

TEST(Plan, TuningRaisesAFlagThatHoldsAReplicaBack) {
  HardwareRow row = row_of("one", "linear:20ms,100us,200us", 2);
  row.flags["max_num_seqs"] = int64_t{4};
  PlanOptions options = options_of({{Phase::kTtft, 0.95, 2}});
  const Trace trace = trace_of(kLoad);
  const auto as_given = make_plan(trace, {row}, options);
  options.tune = true;
  const auto tuned = make_plan(trace, {row}, options);
  ASSERT_TRUE(as_given.has_value() && tuned.has_value());
  EXPECT_EQ(tuned->rows[0].config.max_num_seqs, 16);
  EXPECT_LT(tuned->rows[0].replicas, as_given->rows[0].replicas);
  EXPECT_GT(*tuned->rows[0].rate_per_replica, *as_given->rows[0].rate_per_replica * 1.05);
}

TEST(Plan, BadOptionsAreRefused) {
  const Trace trace = trace_of(kLoad);
  const HardwareRow row = row_of("one", "constant:10ms", 2);
  const std::pair<const char*, void (*)(PlanOptions&)> rows[] = {
      {"--slo: got none", [](PlanOptions& o) { o.slos.limits.clear(); }},
      {"--goodput: got 2", [](PlanOptions& o) { o.slos.goodput = 2; }},
      {"--rate-factor: got 0", [](PlanOptions& o) { o.rate = 0; }},
      {"--rate-factor: got nan", [](PlanOptions& o) { o.rate = NAN; }},
      {"--replications: got 0", [](PlanOptions& o) { o.replications = 0; }},
  };
  for (const auto& [expected, spoil] : rows) {
    PlanOptions options = options_of({{Phase::kTtft, 0.95, 0.5}});
    spoil(options);
    const auto plan = make_plan(trace, {row}, options);
    ASSERT_FALSE(plan.has_value()) << expected;
    EXPECT_THAT(plan.error().message, HasSubstr(expected));
  }
  const Trace at_once = trace_of({.requests = 1});
  EXPECT_THAT(make_plan(at_once, {row}, options_of({{Phase::kTtft, 0.95, 0.5}})).error().message,
              HasSubstr("got requests that all arrive at once"));
  HardwareRow bad = row;
  bad.flags["max_num_seqs"] = int64_t{4096};  // above the budget
  EXPECT_THAT(make_plan(trace, {bad}, options_of({{Phase::kTtft, 0.95, 0.5}})).error().message,
              HasSubstr("one: "));
}

}  // namespace
}  // namespace touchstone::simulator
