// The CUDA plugin on a real GPU: skipped aloud without one. Only in the preset `cuda`.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "reference_engine/backend/plugin_backend.h"
#include "tests/backend/backend_fixture.h"
#include "tests/backend/runner.h"

namespace touchstone::backend {
namespace {

const char* const kModels[] = {"opt-micro",   "llama2-micro", "llama3-micro",       "mistral-micro",
                               "qwen2-micro", "qwen3-micro",  "llama-dynamic-micro"};

std::vector<int32_t> tokens_of(uint64_t seed, size_t count) {
  RandomStream random(seed, "tokens");
  std::vector<int32_t> tokens;
  for (size_t i = 0; i < count; ++i) tokens.push_back(static_cast<int32_t>(random.below(509)));
  return tokens;
}

class Gpu : public testing::TestWithParam<std::tuple<const char*, const char*>> {
 protected:
  void SetUp() override {
    auto loaded = load_plugin(TOUCHSTONE_CUDA_PLUGIN);
    ASSERT_TRUE(loaded) << loaded.error().message;
    plugin_ = *std::move(loaded);
    const Status usable = plugin_->probe();
    if (!usable) GTEST_SKIP() << "SKIPPED: no GPU: " << usable.error().message;
  }
  std::string model() const { return std::get<0>(GetParam()); }
  std::unique_ptr<Backend> gpu(BackendOptions options) const {
    options.settings["gemm"] = std::get<1>(GetParam());
    auto backend = plugin_->create(cpu::fixture(model()), options);
    BASE_CHECK(backend.has_value(), backend.error().message);
    const Limits limits{
        .max_num_batched_tokens = 512, .max_num_seqs = 32, .max_model_len = 96, .block_size = 16};
    BASE_CHECK((*backend)->size(limits).has_value());
    const Status status = (*backend)->allocate_kv(256, 16);
    BASE_CHECK(status.has_value(), status.error().message);
    return *std::move(backend);
  }
  std::unique_ptr<BackendFactory> plugin_;
};

TEST_P(Gpu, GreedyTokensInFloat32AreThoseOfTheCpu) {
  const auto cpu = cpu::make_backend(model(), {.dtype = "float32"});
  const auto backend = gpu({.dtype = "float32"});
  for (const size_t length : {1U, 31U, 33U, 70U}) {
    const std::vector<int32_t> prompt = tokens_of(length, length);
    EXPECT_EQ(cpu::greedy(*backend, prompt, 20), cpu::greedy(*cpu, prompt, 20)) << length;
  }
}

/// INV-5 on the device: company, chunks, preemption, a plan in flight.
TEST_P(Gpu, OnePlanAheadYieldsTheBitsOfOneByOneAndOfEachAlone) {
  for (const char* dtype : {"float32", "bfloat16", "float16"}) {
    const auto backend = gpu({.dtype = dtype});
    for (const uint64_t seed : {1U, 2U, 3U}) {
      const std::vector<Job> jobs = random_jobs(seed, 8, 509);
      const auto sync = play(*backend, jobs, 256, 16, Pace::kOneByOne, seed);
      const auto ahead = play(*backend, jobs, 256, 16, Pace::kOneAhead, seed + 10);
      for (size_t i = 0; i < jobs.size(); ++i) {
        EXPECT_TRUE(same(sync[i], ahead[i])) << dtype << " " << seed << " " << i;
        EXPECT_TRUE(
            same(sync[i], play(*backend, {jobs[i]}, 256, 16, Pace::kOneAhead, seed + 20)[0]))
            << dtype << " " << seed << " " << i;
      }
    }
  }
}

TEST_P(Gpu, GraphsChangeNoBit) {
  const std::vector<Job> jobs = random_jobs(7, 8, 509);
  const auto with = play(*gpu({.dtype = "bfloat16"}), jobs, 256, 16, Pace::kOneByOne, 7);
  const auto eager = gpu({.dtype = "bfloat16", .settings = {{"enforce-eager", "true"}}});
  const auto without = play(*eager, jobs, 256, 16, Pace::kOneByOne, 7);
  for (size_t i = 0; i < jobs.size(); ++i) EXPECT_TRUE(same(with[i], without[i])) << i;
}

INSTANTIATE_TEST_SUITE_P(Models, Gpu,
                         testing::Combine(testing::ValuesIn(kModels),
                                          testing::Values("kernels", "cublaslt")));

}  // namespace
}  // namespace touchstone::backend
