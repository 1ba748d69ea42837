// The decoder's attention: heads normed, rotated and stored, and queries answered.
#include <algorithm>
#include <array>
#include <cmath>

#include "reference_engine/backend/cpu/decoder.h"

namespace touchstone::backend::cpu {

/// Rotates pairs (i, i + head_dim / 2), not neighbours.
void Decoder::rotate(float* head, int64_t row) const {
  const int64_t half = config_.head_dim / 2;
  const float* cosines = cosines_.data() + row * half;
  const float* sines = sines_.data() + row * half;
  for (int64_t i = 0; i < half; ++i) {
    const float left = head[i];
    const float right = head[i + half];
    head[i] = left * cosines[i] - right * sines[i];
    head[i + half] = right * cosines[i] + left * sines[i];
  }
  if (precision_ == Rounding::kBFloat16) {
    for (int64_t i = 0; i < 2 * half; ++i) {
      head[i] = model::bf16_to_float(model::float_to_bf16(head[i]));
    }
  }
}

/// RMS over each head. The kernel takes rows that are padded with zeros, so it works on a copy.
void Decoder::norm_heads(float* heads, int32_t count, const std::vector<float>& weight,
                         float* row) const {
  const int64_t width = config_.head_dim;
  std::fill(row + width, row + padded(width), 0.0F);
  for (float* head = heads; head != heads + count * width; head += width) {
    std::copy(head, head + width, row);
    kernels_->add_rms_norm(row, nullptr, weight.data(), width,
                           static_cast<float>(config_.spec.norm.eps), precision_, row);
    std::copy(row, row + width, head);
  }
}

/// Norms and rotates queries and keys, as far as the spec says so, and stores keys and values.
void Decoder::store_heads(int32_t layer, std::span<const Run> runs, const Rows& qkv,
                          KvCache& cache) {
  const Layer& weights = layers_[static_cast<size_t>(layer)];
  const bool rotates = config_.spec.rope.has_value();
  const int64_t head_dim = config_.head_dim;
  for (const Run& run : runs) {
    pool_->run(static_cast<int64_t>(run.tokens.size()), [&](int64_t i, int thread) {
      const int64_t row = run.first_row + i;
      const int32_t position = run.first_position + static_cast<int32_t>(i);
      float* queries = qkv.row(row);
      float* keys = queries + k_column();
      float* scratch = packed_[static_cast<size_t>(thread)].data();
      if (!weights.q_norm.empty()) norm_heads(queries, config_.num_heads, weights.q_norm, scratch);
      if (!weights.k_norm.empty()) norm_heads(keys, config_.num_kv_heads, weights.k_norm, scratch);
      for (int32_t head = 0; rotates && head < config_.num_heads; ++head) {
        rotate(queries + head * head_dim, row);
      }
      const int32_t block = run.block_table[static_cast<size_t>(position / cache.block_size())];
      for (int32_t head = 0; head < config_.num_kv_heads; ++head) {
        float* key = keys + head * head_dim;
        if (rotates) rotate(key, row);
        cache.write(layer, head, block, position % cache.block_size(), key,
                    queries + v_column() + head * head_dim);
      }
    });
  }
}

/// The first position that a query at `position` sees.
int32_t Decoder::first_seen(int32_t layer, int32_t position) const {
  const auto window = config_.spec.window(layer);
  return window ? std::max(0, position - *window + 1) : 0;
}

namespace {

/// One tile of query rows that share a KV head: `tokens` consecutive tokens, `heads` heads each.
struct AttendItem {
  const Run* run;
  int32_t kv_head;
  int32_t first_head;
  int32_t heads;
  int32_t first_token;
  int32_t tokens;
};

std::vector<AttendItem> attend_items(std::span<const Run> runs, const model::Config& config) {
  const int32_t group = config.num_heads / config.num_kv_heads;
  const int32_t heads_at_once = std::min(group, kAttendRows);
  const int32_t tokens_at_once = std::max(1, kAttendRows / group);
  std::vector<AttendItem> items;
  for (const Run& run : runs) {
    const int32_t tokens = static_cast<int32_t>(run.tokens.size());
    // Later tokens see more and take longer; they come first so that the threads end together.
    for (int32_t end = tokens; end > 0; end -= tokens_at_once) {
      const int32_t first = std::max(0, end - tokens_at_once);
      for (int32_t kv_head = 0; kv_head < config.num_kv_heads; ++kv_head) {
        for (int32_t head = 0; head < group; head += heads_at_once) {
          items.push_back({&run, kv_head, kv_head * group + head,
                           std::min(heads_at_once, group - head), first, end - first});
        }
      }
    }
  }
  return items;
}

}  // namespace

void Decoder::attend(int32_t layer, std::span<const Run> runs, const Rows& qkv,
                     const KvCache& cache, const Rows& out) {
  const std::vector<AttendItem> items = attend_items(runs, config_);
  const int64_t head_dim = config_.head_dim;
  pool_->run(static_cast<int64_t>(items.size()), [&](int64_t index, int thread) {
    const AttendItem& item = items[static_cast<size_t>(index)];
    std::array<const float*, kAttendRows> queries = {};
    std::array<float*, kAttendRows> outputs = {};
    std::array<int32_t, kAttendRows> firsts = {};
    std::array<int32_t, kAttendRows> lengths = {};
    AttendTile tile;
    for (int32_t token = item.first_token; token < item.first_token + item.tokens; ++token) {
      const int64_t row = item.run->first_row + token;
      for (int32_t head = item.first_head; head < item.first_head + item.heads; ++head) {
        const size_t at = static_cast<size_t>(tile.rows++);
        queries[at] = qkv.row(row) + head * head_dim;
        outputs[at] = out.row(row) + head * head_dim;
        const int32_t position = item.run->first_position + token;
        firsts[at] = first_seen(layer, position);
        lengths[at] = position + 1;
      }
    }
    const int64_t longest = lengths[static_cast<size_t>(tile.rows - 1)];
    tile.score_stride = (longest + 47) / 16 * 16;
    auto& scores = scores_[static_cast<size_t>(thread)];
    auto& packed = packed_[static_cast<size_t>(thread)];
    scores.resize(std::max(scores.size(), static_cast<size_t>(tile.rows * tile.score_stride)));
    tile.storage = kv_shape().storage;
    tile.queries = queries.data();
    tile.outputs = outputs.data();
    tile.firsts = firsts.data();
    tile.lengths = lengths.data();
    tile.block_table = item.run->block_table.data();
    tile.block_size = cache.block_size();
    tile.head_dim = config_.head_dim;
    tile.keys = cache.keys(layer, item.kv_head);
    tile.values = cache.values(layer, item.kv_head);
    tile.block_bytes = cache.layer_block_bytes();
    tile.scale = 1.0F / std::sqrt(static_cast<float>(head_dim));
    tile.rounding = precision_;
    tile.scores = scores.data();
    tile.packed = packed.data();
    kernels_->attend(tile);
  });
}

}  // namespace touchstone::backend::cpu
