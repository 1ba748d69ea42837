// What the tests of the backend share: a backend with KV memory, and sequences run on it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/check.h"
#include "reference_engine/backend/cpu/cpu_backend.h"
#include "tests/support/paths.h"

namespace touchstone::backend::cpu {

/// Logits of one sequence, one vector a position.
using LogitRows = std::vector<std::vector<float>>;

/// One sequence's tokens for a step, with the blocks it owns.
struct Piece {
  std::vector<int32_t> tokens;
  int32_t first_position = 0;
  std::vector<BlockId> blocks;
  std::optional<int32_t> adapter_slot = {};
};

inline std::string fixture(const std::string& name) {
  return support::source_dir() + "/fixtures/models/" + name;
}

/// An adapter of the fixtures, as a backend is given it.
inline AdapterSource adapter_source(const std::string& name, const model::Config& config) {
  const std::string folder = fixture("adapters/" + name);
  const auto loaded = model::load_adapter(folder, config, 64);
  BASE_CHECK(loaded.has_value(), loaded.error().message);
  return {.folder = folder, .sha256 = loaded->sha256};
}

inline std::vector<BlockId> consecutive_blocks(int32_t first, int64_t count) {
  std::vector<BlockId> blocks;
  for (int64_t i = 0; i < count; ++i) blocks.push_back(first + static_cast<int32_t>(i));
  return blocks;
}

/// Logits of sequences that the test hands out blocks to.
class Runner {
 public:
  Runner(std::unique_ptr<Executor> executor, int64_t blocks, int32_t block_size)
      : executor_(std::move(executor)), block_size_(block_size) {
    const Status status = executor_->allocate_kv(blocks, block_size);
    BASE_CHECK(status.has_value(), status.error().message);
  }

  int32_t block_size() const { return block_size_; }

  /// Puts an adapter of the fixtures into a slot.
  void load_adapter(int32_t slot, const std::string& name) {
    const Status status = executor_->load_adapter(slot, adapter_source(name, executor_->config()));
    BASE_CHECK(status.has_value(), status.error().message);
  }
  /// Pieces that say nothing else have it.
  void use_adapter(int32_t slot) { adapter_slot_ = slot; }

  /// One step; logits of every token of every piece.
  std::vector<LogitRows> step(const std::vector<Piece>& pieces) {
    std::vector<Segment> segments;
    for (const Piece& piece : pieces) {
      segments.push_back({piece.tokens, piece.first_position, piece.blocks,
                          piece.adapter_slot ? piece.adapter_slot : adapter_slot_});
    }
    const size_t vocab = static_cast<size_t>(executor_->info().vocab_size);
    std::vector<LogitRows> out(pieces.size());
    executor_->run(
        segments, [](size_t, size_t) { return true; },
        [&](std::span<const Wanted> wanted, const Rows& logits) {
          for (int64_t i = 0; i < logits.rows; ++i) {
            const Wanted& one = wanted[static_cast<size_t>(i)];
            BASE_CHECK(out[one.segment].size() == one.token, one.token);
            out[one.segment].emplace_back(logits.row(i), logits.row(i) + vocab);
          }
        });
    return out;
  }

  /// A whole prompt alone in one step, in blocks 1, 2, ….
  LogitRows prompt(const std::vector<int32_t>& tokens) {
    return step(
        {{tokens, 0,
          consecutive_blocks(1, 1 + static_cast<int64_t>(tokens.size()) / block_size_)}})[0];
  }

 private:
  std::unique_ptr<Executor> executor_;
  int32_t block_size_;
  std::optional<int32_t> adapter_slot_;
};

inline Runner make_runner(const std::string& model, const CpuOptions& options, int64_t blocks = 128,
                          int32_t block_size = 16) {
  const auto loaded = model::load_model(fixture(model));
  BASE_CHECK(loaded.has_value(), loaded.error().message);
  auto executor = Executor::make(*loaded, options);
  BASE_CHECK(executor.has_value(), executor.error().message);
  return Runner(*std::move(executor), blocks, block_size);
}

/// The linked backend with 128 blocks of 16 tokens.
inline std::unique_ptr<Backend> make_backend(const std::string& model,
                                             const BackendOptions& options) {
  auto backend = cpu_factory()->create(fixture(model), options);
  BASE_CHECK(backend.has_value(), backend.error().message);
  const Status status = (*backend)->allocate_kv(128, 16);
  BASE_CHECK(status.has_value(), status.error().message);
  return *std::move(backend);
}

inline sampling::Params greedy_params() {
  sampling::Params params;
  params.temperature = 0;
  return params;
}

/// Greedy continuation, decoding token by token in blocks 1, 2, …. Stops after one of `stop`.
inline std::vector<int32_t> greedy(Backend& backend, const std::vector<int32_t>& prompt,
                                   size_t count, const std::vector<int32_t>& stop = {},
                                   std::optional<int32_t> adapter_slot = {}) {
  BASE_CHECK(backend.begin(1, greedy_params(), prompt).has_value());
  std::vector<int32_t> all = prompt;
  std::vector<int32_t> out;
  size_t computed = 0;
  const auto blocks = consecutive_blocks(1, 1 + static_cast<int64_t>(prompt.size() + count) / 16);
  Outputs outputs;
  while (out.size() < count) {
    const Entry entry{.request_id = 1,
                      .tokens = std::span(all).subspan(computed),
                      .first_position = static_cast<int32_t>(computed),
                      .block_table = blocks,
                      .adapter_slot = adapter_slot,
                      .sample = true};
    BASE_CHECK(backend.submit({{&entry, 1}}).has_value());
    BASE_CHECK(backend.wait(outputs).has_value());
    computed = all.size();
    out.push_back(outputs.tokens[0]);
    all.push_back(out.back());
    if (std::find(stop.begin(), stop.end(), out.back()) != stop.end()) break;
  }
  backend.end(1);
  return out;
}

}  // namespace touchstone::backend::cpu
