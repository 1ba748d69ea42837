// What backend.h promises, on the CPU backend: plans in flight, same-step sharing, histories,
// preemption, flat log-probabilities.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "base/random.h"
#include "reference_engine/sampling/sampler.h"
#include "tests/backend/backend_fixture.h"
#include "tests/backend/runner.h"

namespace touchstone::backend {
namespace {

using cpu::consecutive_blocks;
using cpu::make_backend;

constexpr int32_t kVocab = 2048;

std::vector<int32_t> tokens_of(uint64_t seed, size_t count) {
  RandomStream random(seed, "tokens");
  std::vector<int32_t> tokens;
  for (size_t i = 0; i < count; ++i) tokens.push_back(static_cast<int32_t>(random.below(kVocab)));
  return tokens;
}

Entry prompt_entry(RequestId id, std::span<const int32_t> prompt, std::span<const BlockId> blocks,
                   int32_t first = 0) {
  return {.request_id = id,
          .tokens = prompt.subspan(static_cast<size_t>(first)),
          .first_position = first,
          .block_table = blocks,
          .sample = true,
          .logprobs = 5};
}

Outputs compute(Backend& backend, const std::vector<Entry>& entries) {
  Outputs outputs;
  BASE_CHECK(backend.submit({entries}).has_value());
  BASE_CHECK(backend.wait(outputs).has_value());
  return outputs;
}

bool equal_rows(const std::vector<sampling::TokenLogprob>& a,
                const std::vector<sampling::TokenLogprob>& b) {
  return same({.tokens = {}, .logprobs = {a}, .prompt_logprobs = {}},
              {.tokens = {}, .logprobs = {b}, .prompt_logprobs = {}});
}

/// INV-5 with everything at once: penalties, seeds, bitmasks, log-probabilities, company, chunks,
/// preemption, and a plan in flight.
RC_GTEST_PROP(BackendProperty, OnePlanAheadYieldsTheBitsOfOneByOneAndOfEachAlone, (uint64_t seed)) {
  static const auto kBackend = make_backend("vllm-capture", {.dtype = "float32"});
  const std::vector<Job> jobs = random_jobs(seed, 1 + seed % 8, kVocab);
  const auto sync = play(*kBackend, jobs, 128, 16, Pace::kOneByOne, seed);
  const auto ahead = play(*kBackend, jobs, 128, 16, Pace::kOneAhead, seed + 1);
  for (size_t i = 0; i < jobs.size(); ++i) {
    RC_ASSERT(sync[i].tokens.size() == jobs[i].num_tokens);
    RC_ASSERT(same(sync[i], ahead[i]));
    RC_ASSERT(same(sync[i], play(*kBackend, {jobs[i]}, 128, 16, Pace::kOneAhead, seed + 2)[0]));
  }
}

TEST(Backend, AnEarlierEntryOfThePlanMayComputeWhatALaterOneReads) {
  for (const size_t shared : {32U, 640U}) {  // within a slab, and over its end
    const auto backend = make_backend("vllm-capture", {.dtype = "float32"});
    const std::vector<int32_t> prompt = tokens_of(1, shared);
    std::vector<int32_t> longer = prompt;
    const std::vector<int32_t> tail = tokens_of(2, 9);
    longer.insert(longer.end(), tail.begin(), tail.end());
    const std::vector<BlockId> own = consecutive_blocks(1, static_cast<int64_t>(shared) / 16);
    std::vector<BlockId> with_tail = own;
    with_tail.push_back(60);
    const sampling::Params params = cpu::greedy_params();
    for (const RequestId id : {1U, 2U, 3U}) {
      ASSERT_TRUE(backend->begin(id, params, id == 1 ? prompt : longer));
    }
    const Outputs together =
        compute(*backend, {prompt_entry(1, prompt, own),
                           prompt_entry(2, longer, with_tail, static_cast<int32_t>(shared))});
    const std::vector<BlockId> apart =
        consecutive_blocks(70, 1 + static_cast<int64_t>(shared) / 16);
    const Outputs alone = compute(*backend, {prompt_entry(3, longer, apart)});
    EXPECT_EQ(together.tokens[1], alone.tokens[0]);
    EXPECT_TRUE(equal_rows(together.sampled_logprobs(1), alone.sampled_logprobs(0))) << shared;
  }
}

TEST(Backend, ARequestThatEndsWithAPlanInFlightDisturbsNobody) {
  const auto backend = make_backend("vllm-capture", {.dtype = "float32"});
  const std::vector<int32_t> prompt = tokens_of(3, 20);
  const auto mine = consecutive_blocks(1, 2);
  const auto theirs = consecutive_blocks(3, 2);
  const sampling::Params params = cpu::greedy_params();
  ASSERT_TRUE(backend->begin(1, params, prompt));
  ASSERT_TRUE(backend->begin(2, params, prompt));
  ASSERT_TRUE(backend->submit(
      {std::vector<Entry>{prompt_entry(1, prompt, mine), prompt_entry(2, prompt, theirs)}}));
  const std::vector<int32_t> in_flight = {kTokenInFlight};
  const auto decode = [&](RequestId id, const std::vector<BlockId>& blocks) {
    return Entry{.request_id = id,
                 .tokens = in_flight,
                 .first_position = 20,
                 .block_table = blocks,
                 .sample = true,
                 .logprobs = 5};
  };
  ASSERT_TRUE(backend->submit({std::vector<Entry>{decode(1, mine), decode(2, theirs)}}));
  Outputs first;
  ASSERT_TRUE(backend->wait(first));
  backend->end(1);
  Outputs second;
  ASSERT_TRUE(backend->wait(second));
  ASSERT_TRUE(backend->begin(3, params, prompt));
  const Outputs again = compute(*backend, {prompt_entry(3, prompt, mine)});
  EXPECT_EQ(again.tokens[0], first.tokens[1]);
  const std::vector<int32_t> next = {again.tokens[0]};
  Entry entry = decode(3, mine);
  entry.tokens = next;
  EXPECT_TRUE(
      equal_rows(compute(*backend, {entry}).sampled_logprobs(0), second.sampled_logprobs(1)));
}

TEST(Backend, ABitmaskDecidesWhatIsSampledAndWhatIsLikely) {
  const auto backend = make_backend("vllm-capture", {.dtype = "float32"});
  const std::vector<int32_t> prompt = tokens_of(4, 5);
  const auto blocks = consecutive_blocks(1, 1);
  ASSERT_TRUE(backend->begin(1, cpu::greedy_params(), prompt));
  std::vector<int32_t> words(static_cast<size_t>(sampling::bitmask_words(kVocab)), 0);
  words[1] = 1 << 5;  // token 37
  Entry entry = prompt_entry(1, prompt, blocks);
  entry.logprobs = 0;
  entry.token_bitmask = words;
  const Outputs outputs = compute(*backend, {entry});
  EXPECT_EQ(outputs.tokens[0], 37);
  EXPECT_NEAR(outputs.sampled_logprobs(0)[0].logprob, 0, 1e-6) << "nothing else is possible";
}

TEST(Outputs, RowsLieInThePlansOrderPromptsFirst) {
  const std::vector<int32_t> tokens = {1, 2, 3};
  const std::vector<Entry> entries = {
      {.request_id = 1, .tokens = tokens, .num_prompt_rows = 2, .prompt_logprobs = 1},
      {.request_id = 2, .tokens = tokens, .sample = true},
      {.request_id = 3, .tokens = tokens, .sample = true, .logprobs = 99},
      {.request_id = 4, .tokens = tokens, .sample = false, .logprobs = 3}};
  Outputs outputs;
  outputs.lay_out({entries}, 10);
  EXPECT_EQ(outputs.size(), 4U);
  EXPECT_EQ(outputs.logprobs.tokens.size(), 2U * 2 + 11);
  outputs.prompt_row(0, 1).tokens[1] = 7;
  EXPECT_EQ(outputs.logprobs.tokens[3], 7);
  outputs.sampled_row(2).tokens[10] = 8;
  EXPECT_EQ(outputs.logprobs.tokens[14], 8);
  EXPECT_TRUE(outputs.sampled_logprobs(1).empty());
  EXPECT_TRUE(outputs.sampled_logprobs(3).empty());
}

TEST(Backend, OptionsThatItDoesNotKnowAreRefusedByName) {
  const std::string model = cpu::fixture("vllm-capture");
  const auto factory = cpu::cpu_factory();
  const std::vector<std::pair<BackendOptions, std::string>> rows = {
      {{.dtype = "fp4"}, "--dtype: got \"fp4\""},
      {{.load_format = "gguf"}, "--load-format: got \"gguf\""},
      {{.settings = {{"threads", "many"}}}, "--threads: got \"many\""},
      {{.settings = {{"threads", "100000"}}}, "--threads: got"},
      {{.settings = {{"kernels", "abacus"}}}, "--kernels: got \"abacus\""},
      {{.settings = {{"gpu-memory-utilization", "0.9"}}}, "got setting"}};
  for (const auto& [options, part] : rows) {
    const auto backend = factory->create(model, options);
    ASSERT_FALSE(backend) << part;
    EXPECT_NE(backend.error().message.find(part), std::string::npos) << backend.error().message;
  }
  const auto backend = factory->create(model, {});
  EXPECT_FALSE((*backend)->size({.block_size = 0}));
  EXPECT_FALSE((*backend)->size({.block_size = 1 << 20}));
}

TEST(Backend, DummyWeightsNeedOnlyAConfigurationAndFollowTheSeed) {
  const auto factory = cpu::cpu_factory();
  const std::vector<int32_t> prompt = tokens_of(5, 12);
  std::vector<std::vector<int32_t>> texts;
  for (const uint64_t seed : {1U, 1U, 2U}) {
    auto backend =
        factory->create(cpu::fixture("vllm-capture"), {.load_format = "dummy", .seed = seed})
            .value();
    ASSERT_TRUE(backend->allocate_kv(16, 16));
    texts.push_back(cpu::greedy(*backend, prompt, 8));
  }
  EXPECT_EQ(texts[0], texts[1]);
  EXPECT_NE(texts[0], texts[2]);
}

}  // namespace
}  // namespace touchstone::backend
