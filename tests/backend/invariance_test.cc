// Batch invariance (INV-5), bit by bit: what a sequence yields does not depend on its company, on
// how its prompt was cut, on its blocks, on threads, nor on the processor's instruction set.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cstring>
#include <map>
#include <numeric>

#include "base/random.h"
#include "reference_engine/backend/cpu/cpu_features.h"
#include "reference_engine/model/random_model.h"
#include "tests/backend/runner.h"

namespace touchstone::backend::cpu {
namespace {

constexpr int32_t kBlocks = 96;

enum class Kind { kLlamaLike, kOptLike, kWindowed };

/// Odd on purpose: no width is a multiple of 16 but the head size's half.
model::Config odd_shape(model::DType dtype, Kind kind) {
  model::Config config;
  config.architecture = "LlamaForCausalLM";
  config.vocab_size = 157;
  config.hidden_size = 72;
  config.intermediate_size = 150;
  config.num_layers = 3;
  config.num_heads = 6;
  config.num_kv_heads = 2;
  config.head_dim = 20;
  config.max_position_embeddings = 512;
  config.dtype = dtype;
  if (kind != Kind::kOptLike) {
    config.spec.rope = model::RopeSpec{.inverse_frequencies = model::rope_table(10000, 20)};
    if (kind == Kind::kLlamaLike) return config;
    config.spec.qk_norm = true;
    config.spec.windows = {19, std::nullopt, 3};
    return config;
  }
  config.spec.norm = {.kind = model::NormSpec::Kind::kLayer, .bias = true, .eps = 1e-5};
  config.spec.learned_positions = model::LearnedPositions{.offset = 2};
  config.spec.activation = model::Activation::kRelu;
  config.spec.gated = false;
  config.spec.biases = {.qkv = true, .output = true, .feed_forward = true};
  return config;
}

struct Variant {
  const char* kernels;
  model::DType dtype;
  int threads;
  int32_t block_size;
  Kind kind = Kind::kLlamaLike;
};

std::string describe(const Variant& variant) {
  return std::string(variant.kernels) + " " + to_string(variant.dtype) + " threads " +
         std::to_string(variant.threads) + " block " + std::to_string(variant.block_size) +
         (variant.kind == Kind::kOptLike    ? " OPT"
          : variant.kind == Kind::kWindowed ? " windows"
                                            : "");
}

Runner make_odd_runner(const Variant& variant) {
  const model::LoadedModel model = model::random_model(odd_shape(variant.dtype, variant.kind), 11);
  auto executor = Executor::make(model, {.kernels = variant.kernels, .threads = variant.threads});
  BASE_CHECK(executor.has_value(), executor.error().message);
  return Runner(*std::move(executor), kBlocks, variant.block_size);
}

std::vector<Variant> variants() {
  std::vector<Variant> all;
  for (const Kernels* kernels : supported_kernels()) {
    all.push_back({kernels->name, model::DType::kFloat32, 1, 16});
    all.push_back({kernels->name, model::DType::kBFloat16, 2, 16});
    all.push_back({kernels->name, model::DType::kFloat32, 3, 7});
    all.push_back({kernels->name, model::DType::kBFloat16, 2, 40});
    all.push_back({kernels->name, model::DType::kFloat32, 2, 16, Kind::kOptLike});
    all.push_back({kernels->name, model::DType::kBFloat16, 1, 7, Kind::kOptLike});
    all.push_back({kernels->name, model::DType::kFloat32, 2, 7, Kind::kWindowed});
    all.push_back({kernels->name, model::DType::kBFloat16, 1, 40, Kind::kWindowed});
  }
  return all;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

std::vector<int32_t> random_tokens(RandomStream& random, int64_t count) {
  std::vector<int32_t> tokens;
  for (int64_t i = 0; i < count; ++i) tokens.push_back(static_cast<int32_t>(random.below(157)));
  return tokens;
}

/// Hands out blocks 1 … kBlocks-1 in a random order, each once.
class Blocks {
 public:
  explicit Blocks(RandomStream& random) : free_(kBlocks - 1) {
    std::iota(free_.begin(), free_.end(), 1);
    for (size_t i = free_.size(); i > 1; --i) std::swap(free_[i - 1], free_[random.below(i)]);
  }
  std::vector<BlockId> take(int64_t count) {
    BASE_CHECK(count <= static_cast<int64_t>(free_.size()), count);
    const std::vector<BlockId> taken(free_.end() - count, free_.end());
    free_.resize(free_.size() - static_cast<size_t>(count));
    return taken;
  }

 private:
  std::vector<BlockId> free_;
};

/// Runs `sequences` together, each cut at random points, in steps of random company.
std::vector<LogitRows> run_shuffled(Runner& runner, RandomStream& random,
                                    const std::vector<std::vector<int32_t>>& sequences) {
  Blocks blocks(random);
  std::vector<std::vector<BlockId>> tables;
  for (const auto& tokens : sequences) {
    tables.push_back(blocks.take(1 + static_cast<int64_t>(tokens.size()) / runner.block_size()));
  }
  std::vector<LogitRows> out(sequences.size());
  std::vector<size_t> done(sequences.size(), 0);
  for (;;) {
    std::vector<Piece> pieces;
    std::vector<size_t> owners;
    bool left = false;
    for (size_t i = 0; i < sequences.size(); ++i) {
      const size_t rest = sequences[i].size() - done[i];
      left = left || rest > 0;
      if (rest == 0 || random.chance(1, 4)) continue;
      const size_t some = random.chance(1, 3) ? 1 : 1 + random.below(rest);
      const auto begin = sequences[i].begin() + static_cast<ptrdiff_t>(done[i]);
      pieces.push_back({{begin, begin + static_cast<ptrdiff_t>(some)},
                        static_cast<int32_t>(done[i]),
                        tables[i]});
      owners.push_back(i);
      done[i] += some;
    }
    if (!left) return out;
    const std::vector<LogitRows> rows = runner.step(pieces);
    for (size_t j = 0; j < owners.size(); ++j) {
      LogitRows& target = out[owners[j]];
      target.insert(target.end(), rows[j].begin(), rows[j].end());
    }
  }
}

TEST(Invariance, LogitsAloneEqualLogitsInAnyCompanyCutAnyWay) {
  for (const Variant& variant : variants()) {
    Runner runner = make_odd_runner(variant);
    RandomStream random(5, "invariance");
    for (int trial = 0; trial < 3; ++trial) {
      std::vector<std::vector<int32_t>> sequences;
      const uint64_t count = 1 + random.below(6);
      for (uint64_t i = 0; i < count; ++i) {
        sequences.push_back(random_tokens(random, random.between(1, 80)));
      }
      std::vector<LogitRows> alone;
      for (const auto& tokens : sequences) alone.push_back(runner.prompt(tokens));
      const std::vector<LogitRows> together = run_shuffled(runner, random, sequences);
      for (size_t i = 0; i < sequences.size(); ++i) {
        ASSERT_EQ(together[i].size(), sequences[i].size());
        for (size_t p = 0; p < sequences[i].size(); ++p) {
          ASSERT_TRUE(same_bits(alone[i][p], together[i][p]))
              << describe(variant) << " trial " << trial << " sequence " << i << " position " << p;
        }
      }
    }
  }
}

TEST(Invariance, AllInstructionSetsGiveTheSameBits) {
  RandomStream random(6, "instruction sets");
  const std::vector<int32_t> tokens = random_tokens(random, 131);
  for (const Kind kind : {Kind::kLlamaLike, Kind::kOptLike, Kind::kWindowed}) {
    for (const model::DType dtype : {model::DType::kFloat32, model::DType::kBFloat16}) {
      std::map<std::string, LogitRows> rows;
      for (const Kernels* kernels : supported_kernels()) {
        Runner runner = make_odd_runner({kernels->name, dtype, 2, 16, kind});
        rows[kernels->name] = runner.prompt(tokens);
      }
      for (const auto& [name, got] : rows) {
        for (size_t p = 0; p < tokens.size(); ++p) {
          ASSERT_TRUE(same_bits(got[p], rows["portable"][p])) << name << " position " << p;
        }
      }
    }
  }
}

TEST(Invariance, AShippedModelGivesTheSameBitsOnAllInstructionSets) {
  RandomStream random(7, "instruction sets");
  std::vector<int32_t> tokens;
  for (int i = 0; i < 40; ++i) tokens.push_back(static_cast<int32_t>(random.below(2048)));
  Runner portable = make_runner("vllm-capture", {.kernels = "portable"});
  const LogitRows expected = portable.prompt(tokens);
  for (const Kernels* kernels : supported_kernels()) {
    Runner runner = make_runner("vllm-capture", {.kernels = kernels->name});
    const LogitRows got = runner.prompt(tokens);
    for (size_t p = 0; p < tokens.size(); ++p) {
      ASSERT_TRUE(same_bits(got[p], expected[p])) << kernels->name << " position " << p;
    }
  }
}

TEST(Invariance, WhatABlockHeldBeforeDoesNotMatter) {
  for (const Variant& variant : variants()) {
    Runner fresh = make_odd_runner(variant);
    Runner used = make_odd_runner(variant);
    RandomStream random(8, "leftovers");
    (void)used.prompt(random_tokens(random, 90));
    const std::vector<int32_t> tokens = random_tokens(random, 33);
    const LogitRows expected = fresh.prompt(tokens);
    const LogitRows got = used.prompt(tokens);
    for (size_t p = 0; p < tokens.size(); ++p) {
      ASSERT_TRUE(same_bits(got[p], expected[p])) << describe(variant) << " position " << p;
    }
  }
}

TEST(Invariance, ASlabBoundaryInsideAPromptDoesNotMatter) {
  // More tokens than the backend computes at once, then the same in two steps.
  const model::LoadedModel model =
      model::random_model(odd_shape(model::DType::kFloat32, Kind::kLlamaLike), 3);
  auto executor = Executor::make(model, {});
  ASSERT_TRUE(executor.has_value());
  Runner runner(*std::move(executor), kBlocks, 16);
  RandomStream random(9, "slab");
  const std::vector<int32_t> tokens = random_tokens(random, 700);
  const auto blocks = consecutive_blocks(1, 44);
  const LogitRows whole = runner.step({{tokens, 0, blocks}})[0];
  LogitRows parts = runner.step({{{tokens.begin(), tokens.begin() + 450}, 0, blocks}})[0];
  const LogitRows rest = runner.step({{{tokens.begin() + 450, tokens.end()}, 450, blocks}})[0];
  parts.insert(parts.end(), rest.begin(), rest.end());
  ASSERT_EQ(whole.size(), parts.size());
  for (size_t p = 0; p < tokens.size(); ++p) ASSERT_TRUE(same_bits(whole[p], parts[p])) << p;
}

/// The longest window of the micro model whose layers all have one.
constexpr int32_t kMicroWindow = 40;

const char* const kMicroModels[] = {"opt-micro",          "llama2-micro", "llama3-micro",
                                    "mistral-micro",      "qwen2-micro",  "qwen3-micro",
                                    "llama-dynamic-micro"};

TEST(Invariance, EveryMicroModelGivesTheSameBitsInAnyCompanyCutAnyWay) {
  for (const char* name : kMicroModels) {
    for (const char* dtype : {"float32", "bfloat16"}) {
      Runner runner = make_runner(name, {.dtype = dtype});
      RandomStream random(12, name);
      std::vector<std::vector<int32_t>> sequences;
      for (int i = 0; i < 4; ++i) {
        sequences.push_back(random_tokens(random, random.between(60, 200)));
      }
      const std::vector<LogitRows> together = run_shuffled(runner, random, sequences);
      for (size_t i = 0; i < sequences.size(); ++i) {
        const LogitRows alone = runner.prompt(sequences[i]);
        for (size_t p = 0; p < alone.size(); ++p) {
          ASSERT_TRUE(same_bits(alone[p], together[i].at(p)))
              << name << " " << dtype << " sequence " << i << " position " << p;
        }
      }
    }
  }
}

TEST(Invariance, EveryMicroModelGivesTheSameBitsOnAllInstructionSets) {
  RandomStream random(13, "instruction sets");
  const std::vector<int32_t> tokens = random_tokens(random, 130);
  for (const char* name : kMicroModels) {
    for (const char* dtype : {"float32", "bfloat16"}) {
      const LogitRows expected =
          make_runner(name, {.dtype = dtype, .kernels = "portable"}).prompt(tokens);
      for (const Kernels* kernels : supported_kernels()) {
        Runner runner = make_runner(name, {.dtype = dtype, .kernels = kernels->name});
        const LogitRows got = runner.prompt(tokens);
        for (size_t p = 0; p < tokens.size(); ++p) {
          ASSERT_TRUE(same_bits(got[p], expected[p]))
              << name << " " << dtype << " " << kernels->name << " position " << p;
        }
      }
    }
  }
}

TEST(Windows, BlocksOutsideAreNotReadWhateverStandsInTheTable) {
  for (const int32_t block_size : {16, 7}) {
    Runner runner = make_runner("mistral-micro", {.dtype = "float32"}, kBlocks, block_size);
    RandomStream random(14, "windows");
    const std::vector<int32_t> tokens = random_tokens(random, 150);
    const LogitRows expected = runner.prompt(tokens);
    // As a scheduler gives them: the null block, stands for what is outside.
    std::vector<BlockId> blocks = consecutive_blocks(1, 1 + 150 / block_size);
    for (int32_t p = 100; p < 150; ++p) {
      for (int32_t i = 0; i < (p - kMicroWindow + 1) / block_size; ++i) {
        blocks[static_cast<size_t>(i)] = 0;
      }
      const auto got = runner.step({{{tokens[static_cast<size_t>(p)]}, p, blocks}})[0][0];
      ASSERT_TRUE(same_bits(got, expected[static_cast<size_t>(p)])) << block_size << " " << p;
    }
    // The window matters: one block fewer is another result.
    blocks[static_cast<size_t>((149 - kMicroWindow + 1) / block_size)] = 0;
    EXPECT_FALSE(same_bits(runner.step({{{tokens[149]}, 149, blocks}})[0][0], expected[149]));
  }
}

TEST(Spec, WhatTheBackendDoesNotComputeIsRefused) {
  const auto refused = [](const std::function<void(model::Spec&)>& change) {
    model::Config config = odd_shape(model::DType::kFloat32, Kind::kLlamaLike);
    change(config.spec);
    const auto executor = Executor::make(model::random_model(config, 1), {});
    return executor ? std::string() : executor.error().message;
  };
  EXPECT_EQ(refused([](model::Spec&) {}), "");
  EXPECT_NE(refused([](model::Spec& spec) { spec.gated = false; }).find("without gate"),
            std::string::npos);
}

RC_GTEST_PROP(InvarianceProperty, RandomPromptsInRandomCompany, (uint64_t seed)) {
  static Runner runner = make_odd_runner({"auto", model::DType::kBFloat16, 2, 16});
  RandomStream random(seed, "property");
  std::vector<std::vector<int32_t>> sequences;
  const uint64_t count = 2 + random.below(12);
  for (uint64_t i = 0; i < count; ++i) {
    sequences.push_back(random_tokens(random, random.between(1, 48)));
  }
  const LogitRows alone = runner.prompt(sequences[0]);
  const LogitRows together = run_shuffled(runner, random, sequences)[0];
  for (size_t p = 0; p < alone.size(); ++p) RC_ASSERT(same_bits(alone[p], together[p]));
}

}  // namespace
}  // namespace touchstone::backend::cpu
