#include "reference_engine/engine/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <new>
#include <set>

#include "tests/engine/engine_fixture.h"

namespace touchstone::engine {
namespace {

int64_t num_inputs(const records::StepRecord& step, records::StepInput::Kind kind) {
  return std::ranges::count(step.inputs, kind, &records::StepInput::kind);
}

/// Every test runs without and with asynchronous scheduling.
class EngineTest : public ::testing::TestWithParam<bool> {
 protected:
  static scheduler::Config with_parameter(scheduler::Config config) {
    config.async_scheduling = GetParam();
    return config;
  }
  static scheduler::Config roomy_config() { return with_parameter(engine::roomy_config()); }
  static scheduler::Config tight_config() { return with_parameter(engine::tight_config()); }
  static scheduler::Config four_at_a_time() {
    scheduler::Config config = roomy_config();
    config.max_num_seqs = 4;
    config.max_num_batched_tokens = 512;
    return config;
  }
};

INSTANTIATE_TEST_SUITE_P(Scheduling, EngineTest, ::testing::Bool(), [](const auto& tested) {
  return tested.param ? "Asynchronous" : "StepByStep";
});

TEST_P(EngineTest, AResetOfThePrefixCacheChangesNoTokenAndIsInTheLog) {
  using Outcome = Result<bool>;
  using enum scheduler::Scheduler::Running;
  EngineUnderTest engine({.scheduler = roomy_config()});
  const auto ask = [&](scheduler::Scheduler::Running running) {
    const auto promise = std::make_shared<std::promise<Outcome>>();
    engine.engine().reset_prefix_cache(
        running, [promise](Outcome done) { promise->set_value(std::move(done)); });
    return promise->get_future();
  };
  const auto reset = [&](scheduler::Scheduler::Running running) { return ask(running).get(); };
  const Submission request = greedy(kQuestion, 200);
  const auto alone = engine.run(request);
  EXPECT_TRUE(*reset(kKeep)) << "nothing runs";
  const auto running = engine.start(request);
  running.sink->wait_for_outputs(3);
  auto kept = ask(kKeep);
  auto preempted = ask(kPreempt);
  EXPECT_FALSE(*kept.get()) << "it holds blocks";
  EXPECT_TRUE(*preempted.get());
  EXPECT_EQ(running.sink->wait()[0].token_ids, alone[0].token_ids);
  const KeepingObserver& seen = engine.end();
  EXPECT_EQ(seen.records[0].cached_tokens, 0);
  EXPECT_EQ(seen.records[1].cached_tokens, 0) << "the first reset forgot the prompt";
  EXPECT_EQ(seen.records[1].preemptions, 1);
  int64_t resets = 0;
  for (const records::StepRecord& step : seen.steps) {
    resets += num_inputs(step, records::StepInput::Kind::kResetPrefixCache);
  }
  EXPECT_EQ(resets, 3);
  EXPECT_FALSE(reset(kKeep)) << "the engine has ended";
}

TEST_P(EngineTest, TokensDependNeitherOnTheBatchNorOnChunksNorOnPreemption) {
  std::vector<std::vector<Spoken>> alone;
  {
    EngineUnderTest engine({.scheduler = engine::roomy_config()});  // step by step
    for (const auto& request : mixed_requests()) alone.push_back(engine.run(request));
    for (const auto& record : engine.end().records) EXPECT_EQ(record.preemptions, 0);
  }
  EngineUnderTest crowded({.scheduler = tight_config()});
  std::vector<EngineUnderTest::Started> started;
  for (const auto& request : mixed_requests()) started.push_back(crowded.start(request));
  for (size_t i = 0; i < started.size(); ++i) {
    const std::vector<Spoken> spoken = started[i].sink->wait();
    EXPECT_EQ(spoken[0].token_ids, alone[i][0].token_ids) << "request " << i;
    EXPECT_EQ(spoken[0].text, alone[i][0].text) << "request " << i;
    EXPECT_EQ(spoken[0].logprobs, alone[i][0].logprobs) << "request " << i;
    EXPECT_EQ(spoken[0].prompt_logprobs, alone[i][0].prompt_logprobs) << "request " << i;
  }
  int64_t preemptions = 0;
  for (const auto& record : crowded.end().records) preemptions += record.preemptions;
  EXPECT_GT(preemptions, 0) << "the test shows nothing without them";
}

TEST_P(EngineTest, AnAbortedRequestIsOutOfTheNextStepAndItsBlocksAreFree) {
  EngineUnderTest engine({.scheduler = roomy_config()});
  const auto long_one = engine.start(greedy(kQuestion, 200));
  const auto other = engine.start(greedy("Speak, ", 200));
  long_one.sink->wait_for_outputs(5);
  engine.engine().abort(long_one.ticket);
  EXPECT_EQ(other.sink->wait()[0].token_ids.size(), 200u);
  const size_t outputs = long_one.sink->num_outputs();
  EXPECT_LT(outputs, 200u);

  const KeepingObserver& seen = engine.end();
  const uint64_t id = 1;
  bool aborted = false;
  for (const records::StepRecord& step : seen.steps) {
    for (const auto& input : step.inputs) {
      aborted |= input.kind == records::StepInput::Kind::kAbort && input.id == id;
    }
    for (const auto& entry : step.requests) {
      EXPECT_FALSE(aborted && entry.id == id) << "step " << step.step;
    }
    if (aborted) {
      EXPECT_EQ(step.running, 1);
    }
  }
  EXPECT_TRUE(aborted);
  EXPECT_EQ(seen.stats.back().running, 0);
  EXPECT_EQ(seen.stats.back().kv_cache_usage, 0);
  const auto record = std::find_if(seen.records.begin(), seen.records.end(),
                                   [&](const auto& r) { return r.id == id; });
  ASSERT_NE(record, seen.records.end());
  EXPECT_EQ(record->outcome, records::Outcome::kAbort);
  EXPECT_EQ(record->completion_tokens, static_cast<int64_t>(outputs));
}

TEST_P(EngineTest, AnAbortThatLeavesItIdleIsLoggedAndShownInTheGauges) {
  EngineUnderTest engine({.scheduler = roomy_config()});
  const auto started = engine.start(greedy(kQuestion, 200));
  started.sink->wait_for_outputs(3);
  engine.engine().abort(started.ticket);
  const KeepingObserver& seen = engine.end();
  ASSERT_FALSE(seen.steps.empty());
  EXPECT_TRUE(seen.steps.back().requests.empty());
  EXPECT_EQ(num_inputs(seen.steps.back(), records::StepInput::Kind::kAbort), 1);
  EXPECT_EQ(seen.stats.back().running, 0);
  EXPECT_EQ(seen.stats.back().kv_cache_usage, 0);
}

TEST_P(EngineTest, RecordsAndStepsTellOneStory) {
  EngineUnderTest engine({.scheduler = tight_config()});
  std::vector<EngineUnderTest::Started> started;
  for (const auto& request : mixed_requests()) started.push_back(engine.start(request));
  for (const auto& one : started) one.sink->wait();
  const KeepingObserver& seen = engine.end();
  ASSERT_EQ(seen.records.size(), 10u);

  std::set<int64_t> ends;
  std::set<int64_t> plannings;
  int64_t sampled = 0;
  int64_t preempted = 0;
  int64_t expected_step = 0;
  for (const auto& step : seen.steps) {
    EXPECT_EQ(step.step, expected_step++);
    plannings.insert(step.planned_ns);
    ends.insert(step.start_ns + step.duration_ns);
    for (const auto& entry : step.requests) sampled += entry.samples ? 1 : 0;
    preempted += static_cast<int64_t>(step.preempted.size());
  }
  int64_t completion_tokens = 0;
  std::set<int64_t> finishes;
  for (const records::RequestRecord& record : seen.records) {
    completion_tokens += record.completion_tokens;
    preempted -= record.preemptions;
    EXPECT_EQ(record.outcome, records::Outcome::kLength);
    EXPECT_LE(record.arrival_ns, *record.queued_ns);
    EXPECT_LE(*record.queued_ns, *record.first_scheduled_ns);
    EXPECT_LT(*record.first_scheduled_ns, *record.first_token_ns);
    EXPECT_LE(*record.first_token_ns, *record.last_token_ns);
    EXPECT_LE(*record.last_token_ns, record.finished_ns);
    EXPECT_TRUE(finishes.insert(record.finished_ns).second) << "two ended at the same instant";
    EXPECT_TRUE(plannings.contains(*record.first_scheduled_ns));
    EXPECT_TRUE(ends.contains(*record.first_token_ns));
    EXPECT_TRUE(ends.contains(*record.last_token_ns));
    EXPECT_EQ(record.block_hashes.size(),
              static_cast<size_t>((record.prompt_tokens + record.completion_tokens) / 16));
  }
  EXPECT_EQ(sampled, completion_tokens);
  EXPECT_EQ(preempted, 0);
  int64_t generation_tokens = 0;
  for (const auto& stats : seen.stats) generation_tokens += stats.generation_tokens;
  EXPECT_EQ(generation_tokens, completion_tokens);
}

TEST_P(EngineTest, AStopStringEndsTheTextBeforeOrAfterIt) {
  EngineUnderTest engine({.scheduler = roomy_config()});
  const std::string whole = engine.run(greedy(kQuestion, 40))[0].text;
  ASSERT_GT(whole.size(), 20u);
  Submission request = greedy(kQuestion, 40);
  const std::string stop = whole.substr(8, 5);
  const size_t at = whole.find(stop);
  request.stop = {"never said", stop};
  Spoken spoken = engine.run(request)[0];
  EXPECT_EQ(spoken.text, whole.substr(0, at));
  EXPECT_EQ(spoken.finish_reason, "stop");
  EXPECT_EQ(std::get<std::string>(spoken.stop_reason), stop);
  request.include_stop_in_output = true;
  spoken = engine.run(request)[0];
  EXPECT_EQ(spoken.text, whole.substr(0, at + stop.size()));
}

TEST_P(EngineTest, AStopTokenEndsTheTextBeforeItButIsCounted) {
  EngineUnderTest engine({.scheduler = roomy_config()});
  const Spoken whole = engine.run(greedy(kQuestion, 20))[0];
  const int32_t stop = whole.token_ids[6];
  const auto first = std::find(whole.token_ids.begin(), whole.token_ids.end(), stop);
  const std::vector<int32_t> before(whole.token_ids.begin(), first);
  Submission request = greedy(kQuestion, 20);
  request.stop_token_ids = {stop};
  const Spoken spoken = engine.run(request)[0];
  EXPECT_EQ(spoken.text, capture_tokenizer().decode(before, true));
  EXPECT_EQ(spoken.token_ids.size(), before.size() + 1);
  EXPECT_EQ(std::get<int32_t>(spoken.stop_reason), stop);

  // The same token as an end of sequence has no stop reason, and ignore_eos goes past it.
  request.stop_token_ids = {};
  request.eos_token_ids = {stop};
  EXPECT_EQ(engine.run(request)[0].finish_reason, "length");
  request.ignore_eos = false;
  const Spoken ended = engine.run(request)[0];
  EXPECT_EQ(ended.finish_reason, "stop");
  EXPECT_TRUE(std::holds_alternative<std::monostate>(ended.stop_reason));
}

TEST_P(EngineTest, ChoicesOfOnePromptHaveTheirOwnSeedsAndShareThePrompt) {
  EngineUnderTest engine({.scheduler = roomy_config()});
  Submission request = greedy(kQuestion, 12);
  request.sampling.temperature = 1;
  request.seed = 7;
  request.n = 3;
  const auto started = engine.start(request);
  const std::vector<Spoken> three = started.sink->wait();
  EXPECT_EQ(started.sink->num_prompts_done(), 1u);
  EXPECT_NE(three[0].token_ids, three[1].token_ids);
  request.n = 1;
  for (int i = 0; i < 3; ++i) {
    request.seed = 7 + i;
    EXPECT_EQ(engine.run(request)[0].token_ids, three[static_cast<size_t>(i)].token_ids);
  }
}

TEST_P(EngineTest, UnseededRequestsRepeatWithTheEnginesSeed) {
  Submission request = greedy(kQuestion, 12);
  request.sampling.temperature = 1;
  const auto two_answers = [&](uint64_t seed) {
    EngineUnderTest engine({.scheduler = roomy_config(), .seed = seed});
    return std::vector<std::vector<int32_t>>{engine.run(request)[0].token_ids,
                                             engine.run(request)[0].token_ids};
  };
  const auto first = two_answers(5);
  EXPECT_NE(first[0], first[1]);
  EXPECT_EQ(first, two_answers(5));
  EXPECT_NE(first, two_answers(6));
}

TEST_P(EngineTest, TwoPromptsAreTwoRecordsWithTheirOwnIds) {
  EngineUnderTest engine({.scheduler = roomy_config()});
  Submission request = greedy(kQuestion, 4);
  request.prompts.push_back(greedy("Speak, ", 6).prompts[0]);
  const std::vector<Spoken> spoken = engine.run(request);
  EXPECT_EQ(spoken[0].token_ids.size(), 4u);
  EXPECT_EQ(spoken[1].token_ids.size(), 6u);
  const KeepingObserver& seen = engine.end();
  std::vector<std::string> ids;
  for (const auto& record : seen.records) ids.push_back(record.request_id);
  EXPECT_THAT(ids, ::testing::UnorderedElementsAre("cmpl-test-0", "cmpl-test-1"));
}

TEST_P(EngineTest, ShutdownEndsEveryAnswerWithAbort) {
  EngineUnderTest engine({.scheduler = tight_config()});
  std::vector<EngineUnderTest::Started> started;
  for (int i = 0; i < 12; ++i) started.push_back(engine.start(greedy(kQuestion, 100)));
  started[0].sink->wait_for_outputs(2);
  engine.engine().close();
  engine.engine().abort_all();
  size_t aborted = 0;
  for (const auto& one : started) aborted += one.sink->wait()[0].finish_reason == "abort" ? 1 : 0;
  EXPECT_GT(aborted, 0u);
  EXPECT_EQ(engine.end().records.size(), 12u);
  EXPECT_EQ(engine.start(greedy(kQuestion, 1)).admission, Engine::Admission::kClosed);
}

TEST_P(EngineTest, ClosingLetsWhatRunsEnd) {
  EngineUnderTest engine({.scheduler = roomy_config()});
  const auto started = engine.start(greedy(kQuestion, 100));
  engine.end();
  EXPECT_EQ(started.sink->wait()[0].token_ids.size(), 100u);
}

TEST_P(EngineTest, MoreWaitingCompletionsThanAllowedAreTurnedAway) {
  scheduler::Config config = roomy_config();
  config.max_num_seqs = 1;
  config.max_num_batched_tokens = 512;
  EngineUnderTest engine({.scheduler = config, .max_num_queued_reqs = 2});
  const auto running = engine.start(greedy(kQuestion, 150));
  running.sink->wait_for_outputs(1);
  const auto waiting = engine.start(greedy(kQuestion, 1));
  Submission two = greedy(kQuestion, 1);
  two.sampling.temperature = 1;
  two.n = 2;
  EXPECT_EQ(engine.start(two).admission, Engine::Admission::kOverloaded);
  EXPECT_EQ(engine.start(greedy(kQuestion, 1)).admission, Engine::Admission::kAccepted);
  EXPECT_EQ(engine.start(greedy(kQuestion, 1)).admission, Engine::Admission::kOverloaded);
  waiting.sink->wait();
}

/// The real backend, until it has run `steps` steps.
class BreakingBackend final : public ForwardingBackend {
 public:
  enum class How { kError, kException };
  BreakingBackend(std::unique_ptr<backend::Backend> real, int steps, How how)
      : ForwardingBackend(std::move(real)), steps_(steps), how_(how) {}
  Status submit(const backend::Plan& plan) override {
    if (steps_-- <= 0) {
      if (how_ == How::kException) throw std::bad_alloc();
      return unavailable("the device fell off the bus");
    }
    return ForwardingBackend::submit(plan);
  }

 private:
  int steps_;
  const How how_;
};

/// Also one with choices that were never started.
void expect_that_all_fail(const scheduler::Config& config, BreakingBackend::How how,
                          const std::string& message) {
  EngineUnderTest engine({.scheduler = config},
                         std::make_unique<BreakingBackend>(capture_backend(config), 9, how));
  std::vector<EngineUnderTest::Started> started;
  Submission many = greedy(kQuestion, 100);
  many.n = 20;
  started.push_back(engine.start(many));
  for (int i = 0; i < 12; ++i) started.push_back(engine.start(greedy(kQuestion, 100)));
  size_t accepted = 0;
  for (const auto& one : started) {
    if (one.admission != Engine::Admission::kAccepted) continue;  // came after the failure
    accepted += one.sink->wait().size();
    EXPECT_EQ(one.sink->failure(), message);
  }
  const KeepingObserver& seen = engine.end();
  EXPECT_TRUE(engine.engine().failed());
  EXPECT_EQ(engine.engine().failure(), message);
  EXPECT_EQ(engine.start(greedy(kQuestion, 1)).admission, Engine::Admission::kClosed);
  EXPECT_EQ(seen.records.size(), accepted);
  for (const auto& record : seen.records) {
    EXPECT_EQ(record.outcome, records::Outcome::kError);
    EXPECT_EQ(record.http_status, 500);
    EXPECT_EQ(record.error_type, "InternalServerError");
  }
}

TEST_P(EngineTest, ABrokenBackendFailsEveryRequestAndEndsTheEngine) {
  expect_that_all_fail(tight_config(), BreakingBackend::How::kError, "the device fell off the bus");
}

TEST_P(EngineTest, AnExceptionOnItsThreadFailsEveryRequestAndEndsTheEngine) {
  expect_that_all_fail(tight_config(), BreakingBackend::How::kException,
                       "the engine's thread ended: std::bad_alloc");
}

TEST_P(EngineTest, ASubmissionWithManyChoicesStartsThemByAndByAndDoesNotStallOthers) {
  EngineUnderTest engine({.scheduler = four_at_a_time()});
  Submission many = greedy(kQuestion, 5);
  many.n = 300;
  const auto first = engine.start(many);
  first.sink->wait_for_outputs(1);
  const auto other = engine.start(greedy("Speak, ", 5));
  other.sink->wait();
  EXPECT_LT(first.sink->num_outputs(), 1500u) << "the other one had to wait for all of them";
  const std::vector<Spoken> spoken = first.sink->wait();
  for (const Spoken& choice : spoken) EXPECT_EQ(choice.token_ids, spoken[0].token_ids);
  const KeepingObserver& seen = engine.end();
  EXPECT_EQ(seen.records.size(), 301u);
  int64_t most = 0;
  int64_t most_waiting = 0;
  for (const auto& step : seen.steps) {
    most = std::max(most, num_inputs(step, records::StepInput::Kind::kArrive));
  }
  for (const auto& stats : seen.stats) most_waiting = std::max(most_waiting, stats.waiting);
  EXPECT_LE(most, 5) << "started at once";
  EXPECT_GE(most_waiting, 290) << "the gauge counts those that are not started, too";
  for (const auto& record : seen.records) {
    if (record.choices == 1) continue;
    EXPECT_EQ(record.queued_ns, seen.records[0].queued_ns) << "taken over together";
  }
}

TEST_P(EngineTest, ChoicesThatWereNeverStartedAreAbortedWithTheRest) {
  EngineUnderTest engine({.scheduler = four_at_a_time()});
  Submission many = greedy(kQuestion, 200);
  many.n = 100;
  const auto gone = engine.start(many);
  const auto told = engine.start(many);
  gone.sink->wait_for_outputs(1);
  engine.engine().abort(gone.ticket);
  engine.engine().close();
  engine.engine().abort_all();
  const std::vector<Spoken> spoken = told.sink->wait();
  const auto aborted = std::count_if(spoken.begin(), spoken.end(), [](const Spoken& choice) {
    return choice.finish_reason == "abort";
  });
  EXPECT_GE(aborted, 90);
  const KeepingObserver& seen = engine.end();
  EXPECT_EQ(seen.records.size(), 200u);
}

TEST_P(EngineTest, RecordsSayWhatWasAskedAndWhatTheTimeWentInto) {
  EngineUnderTest engine({.scheduler = tight_config()});
  Submission request = greedy(kQuestion + kQuestion + kQuestion + kQuestion, 40);
  request.seed = 11;
  request.n = 2;
  request.stop = {"never said"};
  request.sampling.presence_penalty = 0.5;
  request.record.tenant = "acme";
  engine.run(request);
  const KeepingObserver& seen = engine.end();
  ASSERT_EQ(seen.records.size(), 2u);
  for (const records::RequestRecord& record : seen.records) {
    EXPECT_EQ(record.tenant, "acme");
    EXPECT_EQ(record.seed, 11 + record.choice);
    EXPECT_EQ(record.stop_strings, 1);
    EXPECT_EQ(record.presence_penalty, 0.5);
    EXPECT_GT(record.detokenize_ns, 0);
    ASSERT_GE(record.prefill_chunks.size(), record.choice == 0 ? 2u : 1u);
    // Planned ahead, it starts when the step before has ended.
    EXPECT_GE(record.prefill_chunks[0].start_ns, *record.first_scheduled_ns);
    if (record.choice == 0) {
      EXPECT_EQ(record.prefill_chunks[0].start_ns, record.first_scheduled_ns);
    }
    EXPECT_GE(record.prefill_chunks.back().end_ns, *record.first_token_ns);
  }
}

}  // namespace
}  // namespace touchstone::engine
