// Requests of several adapters and of the base model in one engine: what each says alone, in any
// company; the slots that they share; what becomes of them when an adapter is gone.
#include "reference_engine/model/adapter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>

#include "reference_engine/backend/cpu/cpu_backend.h"
#include "reference_engine/model/loaded_model.h"
#include "tests/engine/engine_fixture.h"
#include "tests/support/paths.h"

namespace touchstone::engine {
namespace {

using ::testing::HasSubstr;

std::string models() { return support::source_dir() + "/fixtures/models/"; }

/// Counts what is loaded.
class CountingBackend final : public ForwardingBackend {
 public:
  CountingBackend(std::unique_ptr<backend::Backend> real, std::atomic<int>& loads)
      : ForwardingBackend(std::move(real)), loads_(loads) {}
  Status load_adapter(int32_t slot, const backend::AdapterSource& source) override {
    loads_.fetch_add(1);
    return ForwardingBackend::load_adapter(slot, source);
  }

 private:
  std::atomic<int>& loads_;
};

class Adapters : public ::testing::TestWithParam<bool> {
 protected:
  /// An engine of the capture model with `slots` slots, of which `max_loras` may run at once.
  std::unique_ptr<EngineUnderTest> engine(int32_t max_loras, int32_t slots,
                                          scheduler::Config config = roomy_config()) {
    config.async_scheduling = GetParam();
    config.max_loras = max_loras;
    auto backend = backend::cpu::cpu_factory()
                       ->create(models() + "vllm-capture",
                                {.dtype = "float32", .adapter_slots = slots, .max_adapter_rank = 8})
                       .value();
    EXPECT_TRUE(backend->allocate_kv(config.num_blocks, config.block_size));
    return std::make_unique<EngineUnderTest>(
        EngineOptions{.scheduler = config, .adapter_slots = slots},
        std::make_unique<CountingBackend>(std::move(backend), loads_));
  }

  /// Number `id` of the same recorded adapter: other ids share no keys and values.
  static std::shared_ptr<const Adapter> adapter(int32_t id,
                                                const std::string& sha256 = recorded()) {
    return std::make_shared<Adapter>(
        Adapter{.id = id,
                .name = "adapter-" + std::to_string(id),
                .cache_key = std::to_string(id),
                .source = {.folder = models() + "adapters/vllm-capture", .sha256 = sha256}});
  }
  static std::string recorded() {
    const auto config = model::load_config(models() + "vllm-capture").value();
    return model::load_adapter(models() + "adapters/vllm-capture", config, 8).value().sha256;
  }
  static Submission asked(std::shared_ptr<const Adapter> adapter, int32_t tokens = 10) {
    Submission request = greedy(kQuestion + kQuestion, tokens);
    request.ignore_eos = true;
    request.adapter = std::move(adapter);
    return request;
  }

  std::atomic<int> loads_{0};
};

INSTANTIATE_TEST_SUITE_P(Scheduling, Adapters, ::testing::Bool(), [](const auto& tested) {
  return tested.param ? "Asynchronous" : "StepByStep";
});

TEST_P(Adapters, EachSaysInAnyCompanyWhatItSaysAlone) {
  const auto under_test = engine(2, 4);
  const auto base = under_test->run(asked(nullptr))[0].token_ids;
  const auto adapted = under_test->run(asked(adapter(1)))[0].token_ids;
  EXPECT_NE(base, adapted);
  std::vector<EngineUnderTest::Started> started;
  for (int32_t i = 0; i < 12; ++i) {
    started.push_back(under_test->start(asked(i % 4 == 0 ? nullptr : adapter(i % 4))));
  }
  for (size_t i = 0; i < started.size(); ++i) {
    EXPECT_EQ(started[i].sink->wait()[0].token_ids, i % 4 == 0 ? base : adapted) << i;
  }
}

TEST_P(Adapters, NoMoreThanMaxLorasRunAndTheOthersHoldUpNobody) {
  const auto under_test = engine(1, 2);
  const auto first = under_test->start(asked(adapter(1), 100));
  const auto second = under_test->start(asked(adapter(2), 5));
  const auto third = under_test->start(asked(nullptr, 5));
  first.sink->wait();
  third.sink->wait();
  EXPECT_EQ(second.sink->wait()[0].token_ids.size(), 5u);
  const auto& seen = under_test->end();
  std::vector<int64_t> scheduled;  // in the order of arrival
  std::vector<int64_t> ended;
  for (const uint64_t id : {1, 2, 3}) {
    const auto record = std::find_if(seen.records.begin(), seen.records.end(),
                                     [id](const auto& one) { return one.id == id; });
    ASSERT_NE(record, seen.records.end()) << id;
    scheduled.push_back(record->first_scheduled_ns.value());
    ended.push_back(record->last_token_ns.value());
  }
  EXPECT_GE(scheduled[1], ended[0]) << "one slot is one adapter at a time";
  EXPECT_LE(scheduled[2], scheduled[1]) << "the base model's request overtakes the one that waits";
  bool deferred = false;
  for (const records::StepStats& stats : seen.stats) {
    deferred = deferred || stats.waiting_deferred == 1;
  }
  EXPECT_TRUE(deferred);
}

TEST_P(Adapters, TheOneLongestUnusedMakesRoom) {
  const auto under_test = engine(1, 2);
  for (const int32_t id : {1, 2, 1, 3, 1, 2}) under_test->run(asked(adapter(id), 2));
  EXPECT_EQ(loads_.load(), 4);  // 1, 2, 3 in place of 2, and 2 again in place of 3
}

TEST_P(Adapters, ShareNoBlocksOfThePrefixCache) {
  const auto under_test = engine(2, 4);
  for (const auto& one : {adapter(1), adapter(2), std::shared_ptr<const Adapter>(), adapter(1)}) {
    under_test->run(asked(one));
  }
  std::vector<int64_t> cached;
  for (const auto& record : under_test->end().records) cached.push_back(record.cached_tokens);
  EXPECT_THAT(cached, ::testing::ElementsAre(0, 0, 0, ::testing::Gt(0)));
}

TEST_P(Adapters, OneThatIsGoneFailsItsOwnRequestsAndLeavesNothingBehind) {
  const auto under_test = engine(2, 4);
  const auto adapted = under_test->run(asked(adapter(7)))[0].token_ids;
  const std::string changed(64, '0');
  const auto others = under_test->start(asked(adapter(7)));
  const auto failed = under_test->start(asked(adapter(1, changed)));
  failed.sink->wait();
  EXPECT_THAT(failed.sink->failure(), HasSubstr("adapter-1"));
  EXPECT_THAT(failed.sink->failure(), HasSubstr("have changed since it was loaded"));
  EXPECT_EQ(failed.sink->num_outputs(), 0u);
  EXPECT_EQ(others.sink->wait()[0].token_ids, adapted);
  // Its files are as they were again, but blocks were filled without it.
  const auto again = under_test->start(asked(adapter(1)));
  again.sink->wait();
  EXPECT_THAT(again.sink->failure(), HasSubstr("must be loaded anew"));
  EXPECT_EQ(under_test->run(asked(adapter(2)))[0].token_ids, adapted);
  const auto& records = under_test->end().records;
  EXPECT_EQ(std::ranges::count(records, records::Outcome::kError, &records::RequestRecord::outcome),
            2);
  EXPECT_FALSE(under_test->engine().failed());
}

TEST_P(Adapters, StatisticsNameThoseThatHaveRequests) {
  const auto under_test = engine(2, 4);
  Submission request = asked(adapter(1));
  request.record.adapter = "one";
  under_test->run(request);
  const auto& stats = under_test->end().stats;
  ASSERT_GE(stats.size(), 2u);
  EXPECT_THAT(stats.front().adapters, ::testing::ElementsAre("one"));
  EXPECT_THAT(stats.back().adapters, ::testing::IsEmpty());
}

}  // namespace
}  // namespace touchstone::engine
