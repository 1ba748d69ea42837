#include "reference_engine/backend/cpu/decoder.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/check.h"

namespace touchstone::backend::cpu {
namespace {

std::vector<float> read_vector(const model::Tensor& tensor, Rounding precision) {
  const int64_t count = tensor.elements();
  std::vector<float> values(static_cast<size_t>(padded(count)), 0.0F);
  model::read_floats(tensor, 0, std::span(values).first(static_cast<size_t>(count)));
  if (precision == Rounding::kBFloat16) {
    for (float& value : values) value = model::bf16_to_float(model::float_to_bf16(value));
  }
  return values;
}

}  // namespace

Rows Decoder::Matrix::resize(int64_t rows, int64_t stride) {
  const size_t size = static_cast<size_t>(rows * stride);
  if (values.size() < size) values.resize(size, 0.0F);
  return {values.data(), rows, stride};
}

Decoder::Decoder(const model::Config& config, Rounding precision, const Kernels& kernels,
                 ThreadPool& pool)
    : config_(config), precision_(precision), kernels_(&kernels), pool_(&pool) {
  // In f32 and in these steps, as the reference has it: at position 2000 an angle's last bit is
  // already 1e-4, so more exact angles would give other logits.
  for (int32_t i = 0; i < config.head_dim; i += 2) {
    const double exponent = static_cast<float>(i) / static_cast<float>(config.head_dim);
    const float power = static_cast<float>(std::pow(config.rope_theta, exponent));
    inverse_frequencies_.push_back(1.0F / power);
  }
}

Result<Decoder> Decoder::make(const model::LoadedModel& model, Storage weights_storage,
                              Rounding precision, const Kernels& kernels, ThreadPool& pool) {
  Decoder decoder(model.config, precision, kernels, pool);
  RETURN_IF_ERROR(decoder.pack(model, weights_storage));
  return decoder;
}

Status Decoder::pack(const model::LoadedModel& model, Storage storage) {
  Status status;
  const auto pack_parts = [&](const std::vector<const model::Tensor*>& parts) {
    auto matrix = PackedMatrix::pack(parts, storage);
    if (matrix) return *std::move(matrix);
    if (status) status = std::move(matrix).error();
    return PackedMatrix();
  };
  embedding_ = pack_parts({&model.weights.embedding});
  if (!config_.tie_word_embeddings) lm_head_ = pack_parts({&model.weights.lm_head});
  for (const model::LayerWeights& weights : model.weights.layers) {
    Layer layer;
    layer.input_norm = read_vector(weights.input_norm, precision_);
    layer.post_norm = read_vector(weights.post_norm, precision_);
    layer.qkv = pack_parts({&weights.q, &weights.k, &weights.v});
    layer.o = pack_parts({&weights.o});
    layer.gate_up = pack_parts({&weights.gate, &weights.up});
    layer.down = pack_parts({&weights.down});
    layers_.push_back(std::move(layer));
  }
  final_norm_ = read_vector(model.weights.final_norm, precision_);
  return status;
}

KvShape Decoder::kv_shape() const {
  return {config_.num_layers, config_.num_kv_heads, config_.head_dim,
          precision_ == Rounding::kBFloat16 ? Storage::kBFloat16 : Storage::kFloat32};
}

int64_t Decoder::weight_bytes() const {
  int64_t bytes = embedding_.bytes() + lm_head_.bytes();
  for (const Layer& layer : layers_) {
    bytes += layer.qkv.bytes() + layer.o.bytes() + layer.gate_up.bytes() + layer.down.bytes();
    bytes += static_cast<int64_t>((layer.input_norm.size() + layer.post_norm.size()) * 4);
  }
  return bytes + static_cast<int64_t>(final_norm_.size() * 4);
}

int64_t Decoder::workspace_bytes(int64_t rows, int64_t max_length) const {
  const int64_t hidden = padded(config_.hidden_size);
  const int64_t inner = padded(config_.intermediate_size);
  const int64_t kv_columns = padded(int64_t{config_.num_kv_heads} * config_.head_dim);
  // Hidden, normed, projected; q, k, v and attended; gate, up, activated; rotations.
  const int64_t per_row =
      3 * hidden + 2 * k_column() + 2 * kv_columns + 3 * inner + config_.head_dim;
  const int64_t per_thread =
      kAttendRows * (max_length + 47) + 2 * kAttendRows * padded(config_.head_dim);
  const int64_t of_logits = kLogitRows * (hidden + padded(config_.vocab_size));
  return 4 * (rows * per_row + pool_->threads() * per_thread + of_logits);
}

int64_t Decoder::k_column() const { return padded(int64_t{config_.num_heads} * config_.head_dim); }
int64_t Decoder::v_column() const {
  return k_column() + padded(int64_t{config_.num_kv_heads} * config_.head_dim);
}

void Decoder::embed(std::span<const Run> runs, const Rows& hidden) {
  const size_t width = static_cast<size_t>(config_.hidden_size);
  for (const Run& run : runs) {
    for (size_t i = 0; i < run.tokens.size(); ++i) {
      float* row = hidden.row(run.first_row + static_cast<int64_t>(i));
      embedding_.read_row(run.tokens[i], {row, width});
      std::fill(row + width, row + hidden.stride, 0.0F);
    }
  }
}

void Decoder::compute_rotations(std::span<const Run> runs, int64_t rows) {
  const size_t half = inverse_frequencies_.size();
  cosines_.resize(static_cast<size_t>(rows) * half);
  sines_.resize(static_cast<size_t>(rows) * half);
  const auto stored = [&](double value) {
    const float single = static_cast<float>(value);
    return precision_ == Rounding::kNone ? single
                                         : model::bf16_to_float(model::float_to_bf16(single));
  };
  for (const Run& run : runs) {
    for (size_t i = 0; i < run.tokens.size(); ++i) {
      const size_t at = (static_cast<size_t>(run.first_row) + i) * half;
      const float position = static_cast<float>(run.first_position + static_cast<int32_t>(i));
      for (size_t j = 0; j < half; ++j) {
        const float angle = position * inverse_frequencies_[j];
        cosines_[at + j] = stored(std::cos(static_cast<double>(angle)));
        sines_[at + j] = stored(std::sin(static_cast<double>(angle)));
      }
    }
  }
}

/// hidden += added, and its norm; `added` null: only the norm.
void Decoder::add_and_norm(const Rows& hidden, const Rows* added, const std::vector<float>& weight,
                           const Rows& out) {
  pool_->run(hidden.rows, [&](int64_t row, int) {
    kernels_->add_rms_norm(hidden.row(row), added != nullptr ? added->row(row) : nullptr,
                           weight.data(), config_.hidden_size,
                           static_cast<float>(config_.rms_norm_eps), precision_, out.row(row));
  });
}

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

void Decoder::rotate_and_store(int32_t layer, std::span<const Run> runs, const Rows& qkv,
                               KvCache& cache) {
  for (const Run& run : runs) {
    pool_->run(static_cast<int64_t>(run.tokens.size()), [&](int64_t i, int) {
      const int64_t row = run.first_row + i;
      const int32_t position = run.first_position + static_cast<int32_t>(i);
      float* values = qkv.row(row);
      for (int32_t head = 0; head < config_.num_heads; ++head) {
        rotate(values + int64_t{head} * config_.head_dim, row);
      }
      const int32_t block = run.block_table[static_cast<size_t>(position / cache.block_size())];
      for (int32_t head = 0; head < config_.num_kv_heads; ++head) {
        float* key = values + k_column() + int64_t{head} * config_.head_dim;
        rotate(key, row);
        cache.write(layer, head, block, position % cache.block_size(), key,
                    values + v_column() + int64_t{head} * config_.head_dim);
      }
    });
  }
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
  const size_t threads = static_cast<size_t>(pool_->threads());
  scores_.resize(threads);
  packed_.resize(threads);
  const int64_t head_dim = config_.head_dim;
  pool_->run(static_cast<int64_t>(items.size()), [&](int64_t index, int thread) {
    const AttendItem& item = items[static_cast<size_t>(index)];
    std::array<const float*, kAttendRows> queries = {};
    std::array<float*, kAttendRows> outputs = {};
    std::array<int32_t, kAttendRows> lengths = {};
    AttendTile tile;
    for (int32_t token = item.first_token; token < item.first_token + item.tokens; ++token) {
      const int64_t row = item.run->first_row + token;
      for (int32_t head = item.first_head; head < item.first_head + item.heads; ++head) {
        const size_t at = static_cast<size_t>(tile.rows++);
        queries[at] = qkv.row(row) + head * head_dim;
        outputs[at] = out.row(row) + head * head_dim;
        lengths[at] = item.run->first_position + token + 1;
      }
    }
    const int64_t longest = lengths[static_cast<size_t>(tile.rows - 1)];
    tile.score_stride = (longest + 47) / 16 * 16;
    auto& scores = scores_[static_cast<size_t>(thread)];
    auto& packed = packed_[static_cast<size_t>(thread)];
    scores.resize(std::max(scores.size(), static_cast<size_t>(tile.rows * tile.score_stride)));
    packed.resize(static_cast<size_t>(2 * kAttendRows * padded(head_dim)));
    tile.storage = kv_shape().storage;
    tile.queries = queries.data();
    tile.outputs = outputs.data();
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

void Decoder::feed_forward(const Layer& layer, const Rows& normed, const Rows& projected) {
  const Rows gate_up = gate_up_.resize(normed.rows, layer.gate_up.columns());
  const Rows activated = activated_.resize(normed.rows, padded(config_.intermediate_size));
  matmul(*kernels_, *pool_, normed, layer.gate_up, gate_up, precision_, scratch_);
  pool_->run(normed.rows, [&](int64_t row, int) {
    const float* gate = gate_up.row(row);
    kernels_->silu_mul(gate, gate + activated.stride, config_.intermediate_size, precision_,
                       activated.row(row));
  });
  matmul(*kernels_, *pool_, activated, layer.down, projected, precision_, scratch_);
}

void Decoder::forward(std::span<const Run> runs, KvCache& cache) {
  int64_t rows = 0;
  for (const Run& run : runs) {
    BASE_CHECK(run.first_row == rows, run.first_row, " ", rows);
    rows += static_cast<int64_t>(run.tokens.size());
  }
  const int64_t width = padded(config_.hidden_size);
  const Rows hidden = hidden_.resize(rows, width);
  const Rows normed = normed_.resize(rows, width);
  const Rows projected = projected_.resize(rows, width);
  embed(runs, hidden);
  compute_rotations(runs, rows);
  const Rows* added = nullptr;  // what the last block adds to the residual stream
  for (size_t i = 0; i < layers_.size(); ++i) {
    const int32_t index = static_cast<int32_t>(i);
    const Layer& layer = layers_[i];
    const Rows qkv = qkv_.resize(rows, layer.qkv.columns());
    const Rows attended = attended_.resize(rows, k_column());
    add_and_norm(hidden, added, layer.input_norm, normed);
    matmul(*kernels_, *pool_, normed, layer.qkv, qkv, precision_, scratch_);
    rotate_and_store(index, runs, qkv, cache);
    attend(index, runs, qkv, cache, attended);
    matmul(*kernels_, *pool_, attended, layer.o, projected, precision_, scratch_);
    added = &projected;
    add_and_norm(hidden, added, layer.post_norm, normed);
    feed_forward(layer, normed, projected);
  }
  add_and_norm(hidden, added, final_norm_, normed);
}

void Decoder::logits(std::span<const int64_t> rows,
                     const std::function<void(int64_t first, const Rows& logits)>& use) {
  const PackedMatrix& head = config_.tie_word_embeddings ? embedding_ : lm_head_;
  const int64_t count = static_cast<int64_t>(rows.size());
  for (int64_t first = 0; first < count; first += kLogitRows) {
    const int64_t some = std::min(kLogitRows, count - first);
    const Rows chosen = chosen_.resize(some, padded(config_.hidden_size));
    const Rows out = logits_.resize(some, head.columns());
    for (int64_t i = 0; i < some; ++i) {
      const float* in =
          normed_.values.data() + rows[static_cast<size_t>(first + i)] * chosen.stride;
      std::copy(in, in + chosen.stride, chosen.row(i));
    }
    matmul(*kernels_, *pool_, chosen, head, out, precision_, scratch_);
    use(first, out);
  }
}

}  // namespace touchstone::backend::cpu
