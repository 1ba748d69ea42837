// Every architecture on the CUDA backend over the emulator, with a plain GEMM; slow.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "tests/backend/backend_fixture.h"
#include "tests/cuda/cuda_fixture.h"

namespace touchstone::backend::cuda {
namespace {

using nlohmann::json;

const char* const kModels[] = {"opt-micro",   "llama2-micro", "llama3-micro",       "mistral-micro",
                               "qwen2-micro", "qwen3-micro",  "llama-dynamic-micro"};

class Sweep : public testing::TestWithParam<const char*> {
 protected:
  /// Those of transformers' goldens; cut, because the emulator is slow.
  static std::vector<std::vector<int32_t>> prompts() {
    const auto text = read_file(fixture("goldens/" + std::string(GetParam()) + ".json"));
    BASE_CHECK(text.has_value(), text.error().message);
    const json golden = json::parse(*text);
    std::vector<std::vector<int32_t>> all;
    for (const json& prompt : golden.at("prompts")) {
      std::vector<int32_t> ids = prompt.at("ids");
      if (ids.size() > kLongest) ids.resize(kLongest);
      all.push_back(std::move(ids));
    }
    BASE_CHECK(all.size() > 3, all.size());
    return all;
  }
  static constexpr size_t kLongest = 70;  // beyond every window of the micro models
  static constexpr size_t kTokens = 6;
};

TEST_P(Sweep, GreedyTokensInFloat32AreThoseOfTheCpu) {
  const auto cpu = cpu::make_backend(GetParam(), {.dtype = "float32"});
  const auto cuda = emulated_backend(GetParam(), {.dtype = "float32"});
  for (const std::vector<int32_t>& prompt : prompts()) {
    EXPECT_EQ(cpu::greedy(*cuda, prompt, kTokens), cpu::greedy(*cpu, prompt, kTokens));
  }
}

/// The likeliest tokens after `text`, and how likely.
std::vector<sampling::TokenLogprob> likeliest(Backend& backend, RequestId id,
                                              const std::vector<int32_t>& text) {
  BASE_CHECK(backend.begin(id, cpu::greedy_params(), text).has_value());
  const auto blocks = cpu::consecutive_blocks(1, 1 + static_cast<int64_t>(text.size()) / 16);
  const Entry entry{
      .request_id = id, .tokens = text, .block_table = blocks, .sample = true, .logprobs = 2};
  Outputs outputs;
  BASE_CHECK(backend.submit({{&entry, 1}}).has_value());
  BASE_CHECK(backend.wait(outputs).has_value());
  backend.end(id);
  return outputs.sampled_logprobs(0);
}

/// In bf16 both sides round every step, sums in another order before that: a token is decided where
/// the two likeliest lie further apart than this.
constexpr float kBfloat16Margin = 0.25F;

TEST_P(Sweep, TokensInBfloat16AreThoseOfTheCpuWhereTheyAreDecided) {
  const auto cpu = cpu::make_backend(GetParam(), {.dtype = "bfloat16"});
  const auto cuda = emulated_backend(GetParam(), {.dtype = "bfloat16"});
  int decided = 0;
  RequestId id = 0;
  for (std::vector<int32_t> text : prompts()) {
    for (size_t i = 0; i < 3; ++i) {
      const auto expected = likeliest(*cpu, ++id, text);
      const auto got = likeliest(*cuda, id, text);
      if (expected[1].logprob - expected[2].logprob > kBfloat16Margin) {
        EXPECT_EQ(got[0].token, expected[0].token) << "after " << text.size();
        decided += 1;
      }
      EXPECT_LE(std::abs(got[1].logprob - expected[1].logprob), kBfloat16Margin) << text.size();
      text.push_back(expected[0].token);
    }
  }
  EXPECT_GE(decided, 3) << "or nothing was tested";
}

/// INV-5: alone, in company, in chunks, after preemption, one plan ahead.
TEST_P(Sweep, CompanyCutsAndPreemptionChangeNoBit) {
  for (const char* dtype : {"float32", "bfloat16", "float16"}) {
    const auto backend = emulated_backend(
        GetParam(), {.dtype = dtype},
        {.max_num_batched_tokens = 512, .max_num_seqs = 8, .max_model_len = 96, .block_size = 16},
        {.find_races = false});
    std::vector<Job> jobs = random_jobs(3, 4, 509);
    for (Job& job : jobs) job.num_tokens = std::min<size_t>(job.num_tokens, 4);
    const auto sync = play(*backend, jobs, 128, 16, Pace::kOneByOne, 3);
    const auto ahead = play(*backend, jobs, 128, 16, Pace::kOneAhead, 4);
    for (size_t i = 0; i < jobs.size(); ++i) {
      EXPECT_TRUE(same(sync[i], ahead[i])) << dtype << " " << i;
      EXPECT_TRUE(same(sync[i], play(*backend, {jobs[i]}, 128, 16, Pace::kOneAhead, 5)[0]))
          << dtype << " " << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Models, Sweep, testing::ValuesIn(kModels));

}  // namespace
}  // namespace touchstone::backend::cuda
