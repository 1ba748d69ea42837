// What the tests of the backend share: a backend with KV memory, and sequences run on it.
#pragma once

#include <cstdint>
#include <memory>
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
};

inline std::string fixture(const std::string& name) {
  return support::source_dir() + "/fixtures/models/" + name;
}

inline std::vector<BlockId> consecutive_blocks(int32_t first, int64_t count) {
  std::vector<BlockId> blocks;
  for (int64_t i = 0; i < count; ++i) blocks.push_back(first + static_cast<int32_t>(i));
  return blocks;
}

class Runner {
 public:
  Runner(std::unique_ptr<CpuBackend> backend, int64_t blocks, int32_t block_size)
      : backend_(std::move(backend)), block_size_(block_size) {
    const Status status = backend_->allocate_kv(blocks, block_size);
    BASE_CHECK(status.has_value(), status.error().message);
  }

  CpuBackend& backend() { return *backend_; }
  int32_t block_size() const { return block_size_; }

  /// One step; logits of every token of every piece.
  std::vector<LogitRows> step(const std::vector<Piece>& pieces) {
    std::vector<SequenceStep> steps;
    for (const Piece& piece : pieces) {
      SequenceStep step;
      step.request_id = steps.size();
      step.tokens = piece.tokens;
      step.first_position = piece.first_position;
      step.block_table = piece.blocks;
      steps.push_back(step);
    }
    std::vector<LogitRows> out(pieces.size());
    backend_->execute_for_logits(steps,
                                 [&](size_t sequence, size_t token, std::span<const float> row) {
                                   BASE_CHECK(out[sequence].size() == token, token);
                                   out[sequence].emplace_back(row.begin(), row.end());
                                 });
    return out;
  }

  /// A whole prompt alone in one step, in blocks 1, 2, ….
  LogitRows prompt(const std::vector<int32_t>& tokens) {
    return step(
        {{tokens, 0,
          consecutive_blocks(1, 1 + static_cast<int64_t>(tokens.size()) / block_size_)}})[0];
  }

  /// Greedy continuation through execute(), decoding token by token. Stops after one of `stop`.
  std::vector<int32_t> greedy(const std::vector<int32_t>& prompt_tokens, size_t count,
                              const std::vector<int32_t>& stop = {}) {
    sampling::Params params;
    params.temperature = 0;
    std::vector<int32_t> all = prompt_tokens;
    std::vector<int32_t> out;
    size_t computed = 0;
    const auto blocks =
        consecutive_blocks(1, 1 + static_cast<int64_t>(prompt_tokens.size() + count) / block_size_);
    while (out.size() < count) {
      SequenceStep one;
      one.tokens = std::span(all).subspan(computed);
      one.first_position = static_cast<int32_t>(computed);
      one.block_table = blocks;
      one.sample = true;
      one.params = &params;
      one.history = {prompt_tokens, out};
      std::vector<SequenceOutput> outputs;
      const Status status = backend_->execute({&one, 1}, outputs);
      BASE_CHECK(status.has_value(), status.error().message);
      computed = all.size();
      out.push_back(outputs[0].sampled.token);
      all.push_back(out.back());
      if (std::find(stop.begin(), stop.end(), out.back()) != stop.end()) break;
    }
    return out;
  }

 private:
  std::unique_ptr<CpuBackend> backend_;
  int32_t block_size_;
};

inline Runner make_runner(const std::string& model, const CpuOptions& options, int64_t blocks = 128,
                          int32_t block_size = 16) {
  auto backend = make_cpu_backend(fixture(model), options);
  BASE_CHECK(backend.has_value(), backend.error().message);
  return Runner(*std::move(backend), blocks, block_size);
}

}  // namespace touchstone::backend::cpu
