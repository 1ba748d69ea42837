// The CUDA backend over the emulator: the host code and the kernels of the plugin. cuBLASLt is not
// there; a plain GEMM computes in its place.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "tests/backend/backend_fixture.h"
#include "tests/cuda/cuda_fixture.h"

namespace touchstone::backend::cuda {
namespace {

using ::testing::HasSubstr;

std::vector<int32_t> tokens_of(uint64_t seed, size_t count, uint64_t vocab = 509) {
  RandomStream random(seed, "tokens");
  std::vector<int32_t> tokens;
  for (size_t i = 0; i < count; ++i) tokens.push_back(static_cast<int32_t>(random.below(vocab)));
  return tokens;
}

/// A greedy continuation, alone.
std::vector<int32_t> continue_greedily(Backend& backend, const std::vector<int32_t>& prompt,
                                       size_t count) {
  return cpu::greedy(backend, prompt, count);
}

TEST(CudaBackend, GreedyTokensInFloat32AreThoseOfTheCpu) {
  const std::vector<int32_t> prompt = tokens_of(1, 21);
  for (const auto& [name, gemm] :
       {std::pair("llama3-micro", "plain"), {"opt-micro", "plain"}, {"qwen3-micro", "kernels"}}) {
    const auto cpu = cpu::make_backend(name, {.dtype = "float32"});
    const auto cuda =
        emulated_backend(name, {.dtype = "float32", .settings = {{"gemm", gemm}}}, kLimits, {});
    EXPECT_EQ(continue_greedily(*cuda, prompt, 3), continue_greedily(*cpu, prompt, 3)) << name;
  }
}

TEST(CudaBackend, AStepIsOneSynchronisationAndDecodingIsGraphs) {
  const auto backend = emulated_backend("llama3-micro", {.dtype = "float32"});
  EmulatedDevice& device = device_of(*backend);
  const int64_t before = device.synchronizations();
  continue_greedily(*backend, tokens_of(2, 9), 4);
  EXPECT_EQ(device.synchronizations() - before, 4);
  EXPECT_EQ(device.graph_launches(), 2) << "all but the prompt and the first of their shape";
  EXPECT_EQ(device.graphs(), 1U) << "captured once";
}

TEST(CudaBackend, AFailingDeviceIsAnErrorOfThePlanAndStaysOne) {
  const auto whole = emulated_backend("llama3-micro", {.dtype = "float32"});
  ASSERT_TRUE(whole->begin(1, cpu::greedy_params(), tokens_of(3, 5)));
  const auto backend = emulated_backend(
      "llama3-micro", {.dtype = "float32"},
      {.max_num_batched_tokens = 64, .max_num_seqs = 4, .max_model_len = 64, .block_size = 16},
      {.fails_at = 400});
  const std::vector<int32_t> prompt = tokens_of(3, 5);
  ASSERT_TRUE(backend->begin(1, cpu::greedy_params(), prompt));
  const std::vector<BlockId> blocks = {1};
  const Entry entry{.request_id = 1, .tokens = prompt, .block_table = blocks, .sample = true};
  Outputs outputs;
  Status status;
  for (int i = 0; i < 20 && status; ++i) {
    status = backend->submit({{&entry, 1}});
    if (status) status = backend->wait(outputs);
  }
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(status.error().message, HasSubstr("illegal memory access"));
  EXPECT_FALSE(backend->submit({{&entry, 1}})) << "for good";
}

TEST(CudaBackend, OptionsThatItDoesNotKnowAreRefusedByName) {
  const auto factory = cuda_factory(emulated_platform());
  const std::vector<std::pair<BackendOptions, std::string>> rows = {
      {{.dtype = "fp4"}, "--dtype: got \"fp4\""},
      {{.load_format = "gguf"}, "--load-format: got \"gguf\""},
      {{.settings = {{"gpu-memory-utilization", "1.5"}}}, "--gpu-memory-utilization: got \"1.5\""},
      {{.settings = {{"gpu-memory-utilization", "nan"}}}, "--gpu-memory-utilization: got"},
      {{.settings = {{"enforce-eager", "maybe"}}}, "--enforce-eager: got \"maybe\""},
      {{.settings = {{"gemm", "cublaslt"}}}, "--gemm: got \"cublaslt\", expected plain or kernels"},
      {{.settings = {{"threads", "2"}}}, "got setting \"threads\""}};
  for (const auto& [options, part] : rows) {
    const auto backend = factory->create(fixture("llama3-micro"), options);
    ASSERT_FALSE(backend) << part;
    EXPECT_THAT(backend.error().message, HasSubstr(part));
  }
}

TEST(CudaBackend, MemoryIsSharedAsAsked) {
  const auto factory = cuda_factory(emulated_platform({.memory_bytes = 100'000'000}));
  auto backend =
      factory->create(fixture("llama3-micro"), {.settings = {{"gpu-memory-utilization", "0.5"}}});
  ASSERT_TRUE(backend) << backend.error().message;
  const Limits limits{
      .max_num_batched_tokens = 64, .max_num_seqs = 4, .max_model_len = 64, .block_size = 16};
  const auto sizes = (*backend)->size(limits);
  ASSERT_TRUE(sizes);
  EXPECT_EQ(sizes->total_bytes, 50'000'000);
  EXPECT_EQ(sizes->free_bytes, 50'000'000 - sizes->weight_bytes) << "only weights are there";
  EXPECT_EQ((*backend)->model().dtype, "bfloat16") << "auto: as the folder was made";
  // What was promised is enough: as many blocks as fit can be had.
  const int64_t blocks = (sizes->free_bytes - sizes->workspace_bytes) / sizes->kv_block_bytes;
  ASSERT_GT(blocks, 100);
  EXPECT_TRUE((*backend)->allocate_kv(blocks, 16));
  const auto after = (*backend)->size(limits);
  ASSERT_TRUE(after);
  EXPECT_GE(after->free_bytes, 0);
  EXPECT_LT(after->free_bytes, sizes->kv_block_bytes + 4096) << "nothing else was taken";
  for (const int32_t block_size : {0, 8, 24, 2048}) {
    Limits wrong = limits;
    wrong.block_size = block_size;
    EXPECT_FALSE((*backend)->size(wrong)) << block_size;
  }
}

TEST(CudaBackend, AModelThatDoesNotFitSaysHowMuchItNeeds) {
  const auto factory = cuda_factory(emulated_platform({.memory_bytes = 50'000}));
  const auto backend = factory->create(fixture("llama3-micro"), {});
  ASSERT_FALSE(backend);
  EXPECT_EQ(backend.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(backend.error().message, HasSubstr("weights: needs "));
  EXPECT_THAT(backend.error().message, HasSubstr("free are 50,000 of 50,000"));
}

/// INV-5 as on the CPU (tests/backend/contract_test.cc), with fewer requests.
TEST(CudaBackend, OnePlanAheadYieldsTheBitsOfOneByOneAndOfEachAlone) {
  const auto backend = emulated_backend(
      "llama3-micro", {.dtype = "float32"},
      {.max_num_batched_tokens = 256, .max_num_seqs = 8, .max_model_len = 96, .block_size = 16},
      {.find_races = false});
  std::vector<Job> jobs = random_jobs(5, 3, 509);
  for (Job& job : jobs) job.num_tokens = std::min<size_t>(job.num_tokens, 3);
  const auto sync = play(*backend, jobs, 128, 16, Pace::kOneByOne, 5);
  const auto ahead = play(*backend, jobs, 128, 16, Pace::kOneAhead, 6);
  for (size_t i = 0; i < jobs.size(); ++i) {
    EXPECT_TRUE(same(sync[i], ahead[i])) << i;
    EXPECT_TRUE(same(sync[i], play(*backend, {jobs[i]}, 128, 16, Pace::kOneAhead, 7)[0])) << i;
  }
}

/// One slot for two requests with penalties and bad words, one plan ahead: each history is taken
/// away by the other request's turn and comes back.
TEST(CudaBackend, MoreRequestsThanSlotsKeepTheirHistories) {
  const Limits one{
      .max_num_batched_tokens = 64, .max_num_seqs = 1, .max_model_len = 64, .block_size = 16};
  sampling::Params params;
  params.temperature = 0;
  params.repetition_penalty = 1.1;
  params.frequency_penalty = 2.0;
  const std::vector<std::vector<int32_t>> prompts = {tokens_of(8, 6), tokens_of(9, 7)};
  constexpr size_t kTurns = 5;
  const auto alone = [&](size_t i) {
    const auto backend = emulated_backend("llama3-micro", {.dtype = "float32"}, one);
    Job job{.params = params, .prompt = prompts[i], .num_tokens = kTurns};
    return play(*backend, {job}, 128, 16, Pace::kOneByOne, 1)[0].tokens;
  };
  const auto first = alone(0);
  params.bad_words = {{first[1], first[2]}};
  std::vector<std::vector<int32_t>> expected = {alone(0), alone(1)};
  EXPECT_NE(expected[0], first) << "the bad word is one";

  const auto backend = emulated_backend("llama3-micro", {.dtype = "float32"}, one);
  std::vector<std::vector<int32_t>> said(2);
  std::vector<std::vector<int32_t>> all = prompts;
  std::vector<size_t> computed(2, 0);
  const std::vector<std::vector<BlockId>> blocks = {{1}, {2}};
  const auto submit = [&](size_t i) {
    const Entry entry{.request_id = 50 + i,
                      .tokens = std::span(all[i]).subspan(computed[i]),
                      .first_position = static_cast<int32_t>(computed[i]),
                      .block_table = blocks[i],
                      .sample = true};
    BASE_CHECK(backend->submit({{&entry, 1}}).has_value());
    computed[i] = all[i].size();
  };
  const auto take = [&](size_t i) {
    Outputs outputs;
    BASE_CHECK(backend->wait(outputs).has_value());
    all[i].push_back(outputs.tokens[0]);
    said[i].push_back(outputs.tokens[0]);
  };
  for (size_t i = 0; i < 2; ++i) BASE_CHECK(backend->begin(50 + i, params, prompts[i]).has_value());
  submit(0);
  for (size_t turn = 1; turn < 2 * kTurns; ++turn) {
    submit(turn % 2);
    take((turn - 1) % 2);
  }
  take(1);
  EXPECT_EQ(said, expected);
}

}  // namespace
}  // namespace touchstone::backend::cuda
