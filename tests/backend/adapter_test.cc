// Adapters on the CPU: mixed batches bit by bit as each request alone (INV-5), slots used again.
// What they compute is held against PEFT in golden_test.cc.
#include <gtest/gtest.h>

#include <cstring>
#include <map>

#include "base/files.h"
#include "base/random.h"
#include "reference_engine/backend/cpu/cpu_features.h"
#include "tests/backend/runner.h"

namespace touchstone::backend::cpu {
namespace {

constexpr const char* kModel = "llama3-micro";
constexpr const char* kFirst = "llama3-patterns";
constexpr const char* kSecond = "llama3-attention";

bool equal_bits(const LogitRows& a, const LogitRows& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i].size() != b[i].size()) return false;
    if (std::memcmp(a[i].data(), b[i].data(), a[i].size() * sizeof(float)) != 0) return false;
  }
  return true;
}

Runner adapted_runner(const std::string& dtype, const std::string& kernels, int threads) {
  Runner runner = make_runner(kModel, {.dtype = dtype,
                                       .kernels = kernels,
                                       .adapter_slots = 2,
                                       .max_adapter_rank = 8,
                                       .threads = threads});
  runner.load_adapter(0, kFirst);
  runner.load_adapter(1, kSecond);
  return runner;
}

struct Asked {
  std::vector<int32_t> tokens;
  std::optional<int32_t> slot;
};

/// `count` sequences: some of the base model, some of each adapter.
std::vector<Asked> random_asked(RandomStream& random, size_t count) {
  std::vector<Asked> all;
  for (size_t i = 0; i < count; ++i) {
    Asked asked;
    const int64_t length = random.between(1, 40);
    for (int64_t k = 0; k < length; ++k) {
      asked.tokens.push_back(static_cast<int32_t>(random.below(500)));
    }
    if (const uint64_t which = random.below(3); which > 0) {
      asked.slot = static_cast<int32_t>(which) - 1;
    }
    all.push_back(std::move(asked));
  }
  return all;
}

/// All of them together, each cut at random points.
std::vector<LogitRows> run_mixed(Runner& runner, RandomStream& random,
                                 const std::vector<Asked>& all) {
  std::vector<LogitRows> out(all.size());
  std::vector<size_t> done(all.size(), 0);
  for (bool left = true; left;) {
    left = false;
    std::vector<Piece> pieces;
    std::vector<size_t> owners;
    for (size_t i = 0; i < all.size(); ++i) {
      const size_t rest = all[i].tokens.size() - done[i];
      left = left || rest > 0;
      if (rest == 0 || random.chance(1, 4)) continue;
      const size_t some = 1 + random.below(rest);
      const auto begin = all[i].tokens.begin() + static_cast<ptrdiff_t>(done[i]);
      pieces.push_back({{begin, begin + static_cast<ptrdiff_t>(some)},
                        static_cast<int32_t>(done[i]),
                        consecutive_blocks(1 + 3 * static_cast<int32_t>(i), 3),
                        all[i].slot});
      owners.push_back(i);
      done[i] += some;
    }
    if (pieces.empty()) continue;
    const auto rows = runner.step(pieces);
    for (size_t k = 0; k < owners.size(); ++k) {
      out[owners[k]].insert(out[owners[k]].end(), rows[k].begin(), rows[k].end());
    }
  }
  return out;
}

TEST(MixedAdapters, GiveEachRequestTheBitsThatItGetsAlone) {
  for (const char* dtype : {"float32", "bfloat16"}) {
    std::vector<LogitRows> expected;  // of the first kernel set: all give the same bits
    for (const Kernels* kernels : supported_kernels()) {
      RandomStream random(3, "mixed");
      const std::vector<Asked> all = random_asked(random, 12);
      Runner alone = adapted_runner(dtype, kernels->name, 1);
      Runner together = adapted_runner(dtype, kernels->name, 2);
      const std::vector<LogitRows> mixed = run_mixed(together, random, all);
      for (size_t i = 0; i < all.size(); ++i) {
        const LogitRows one =
            alone.step({{all[i].tokens, 0, consecutive_blocks(1, 3), all[i].slot}})[0];
        ASSERT_TRUE(equal_bits(mixed[i], one)) << dtype << " " << kernels->name << " " << i;
        if (i == expected.size()) expected.push_back(one);
        ASSERT_TRUE(equal_bits(one, expected[i])) << dtype << " " << kernels->name << " " << i;
      }
    }
  }
}

TEST(MixedAdapters, DifferFromEachOtherAndFromTheBaseModel) {
  Runner runner = adapted_runner("float32", "auto", 1);
  const std::vector<int32_t> tokens = {5, 6, 7, 8};
  const auto rows = runner.step({{tokens, 0, consecutive_blocks(1, 1)},
                                 {tokens, 0, consecutive_blocks(2, 1), 0},
                                 {tokens, 0, consecutive_blocks(3, 1), 1}});
  EXPECT_FALSE(equal_bits(rows[0], rows[1]));
  EXPECT_FALSE(equal_bits(rows[0], rows[2]));
  EXPECT_FALSE(equal_bits(rows[1], rows[2]));
  Runner plain = make_runner(kModel, {.dtype = "float32", .threads = 1});
  EXPECT_TRUE(equal_bits(rows[0], plain.prompt(tokens)));
}

TEST(AdapterSlots, HoldWhatWasLoadedLastAndKeepItWhenALoadFails) {
  const auto config = model::load_config(fixture(kModel)).value();
  const auto backend =
      make_backend(kModel, {.dtype = "float32", .adapter_slots = 1, .max_adapter_rank = 8});
  const std::vector<int32_t> prompt = {9, 8, 7, 6, 5};
  ASSERT_TRUE(backend->load_adapter(0, adapter_source(kFirst, config)));
  const auto first = greedy(*backend, prompt, 6, {}, 0);
  ASSERT_TRUE(backend->load_adapter(0, adapter_source(kSecond, config)));
  const auto second = greedy(*backend, prompt, 6, {}, 0);
  EXPECT_NE(first, second);
  EXPECT_NE(greedy(*backend, prompt, 6), second);
  AdapterSource changed = adapter_source(kFirst, config);
  changed.sha256[0] = changed.sha256[0] == 'a' ? 'b' : 'a';
  const Status refused = backend->load_adapter(0, changed);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("have changed since"), std::string::npos);
  EXPECT_FALSE(backend->load_adapter(0, {.folder = "/nowhere", .sha256 = ""}));
  EXPECT_EQ(greedy(*backend, prompt, 6, {}, 0), second);
}

TEST(AdapterSlots, AreAccountedAsWorkspace) {
  const Limits limits{
      .max_num_batched_tokens = 64, .max_num_seqs = 4, .max_model_len = 128, .block_size = 16};
  const auto bytes = [&](int32_t slots, int32_t rank) {
    const auto backend = make_backend(
        kModel, {.dtype = "float32", .adapter_slots = slots, .max_adapter_rank = rank});
    return backend->size(limits).value().workspace_bytes;
  };
  const int64_t none = bytes(0, 0);
  const int64_t one = bytes(1, 8);
  const int64_t three = bytes(3, 8);
  const auto config = model::load_config(fixture(kModel)).value();
  EXPECT_GE(one - none, 4 * model::adapter_elements(config, 8));
  EXPECT_EQ((three - one) / 2, PackedAdapter::bytes_max(config, 8, Storage::kFloat32));
  EXPECT_LT(one, bytes(1, 64));
}

}  // namespace
}  // namespace touchstone::backend::cpu
