#include "reference_engine/backend/cpu/decoder.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/check.h"

namespace touchstone::backend::cpu {
namespace {

/// `tensor` from `out[first]` on, rounded as the arithmetic is.
void read_vector(const model::Tensor& tensor, Rounding precision, std::vector<float>& out,
                 int64_t first = 0) {
  const std::span<float> values =
      std::span(out).subspan(static_cast<size_t>(first), static_cast<size_t>(tensor.elements()));
  model::read_floats(tensor, 0, values);
  if (precision == Rounding::kNone) return;
  for (float& value : values) value = model::bf16_to_float(model::float_to_bf16(value));
}

/// The weight of a head's norm, padded with zeros.
std::vector<float> read_head_norm(const model::Tensor& tensor, Rounding precision) {
  std::vector<float> weight(static_cast<size_t>(padded(tensor.shape[0])), 0.0F);
  read_vector(tensor, precision, weight);
  return weight;
}

Status check_spec(const model::Spec& spec) {
  if (spec.gated == (spec.activation == model::Activation::kSilu)) return {};
  return Error{ErrorCode::kUnsupported,
               "backend cpu: a gated ReLU and a SiLU without gate are not implemented",
               {}};
}

}  // namespace

Rows Decoder::Matrix::resize(int64_t rows, int64_t stride) {
  const size_t size = static_cast<size_t>(rows * stride);
  if (values.size() < size) values.resize(size, 0.0F);
  return {values.data(), rows, stride};
}

Decoder::Decoder(const model::Config& config, Rounding precision, const Kernels& kernels,
                 ThreadPool& pool)
    : config_(config), precision_(precision), kernels_(&kernels), pool_(&pool) {}

Result<Decoder> Decoder::make(const model::LoadedModel& model, Storage weights_storage,
                              Rounding precision, const Kernels& kernels, ThreadPool& pool) {
  RETURN_IF_ERROR(check_spec(model.config.spec));
  Decoder decoder(model.config, precision, kernels, pool);
  RETURN_IF_ERROR(decoder.pack(model, weights_storage));
  return decoder;
}

Decoder::Norm Decoder::read_norm(const model::Affine& norm) const {
  Norm read;
  read.weight.resize(static_cast<size_t>(padded(config_.hidden_size)), 0.0F);
  read.bias.resize(read.weight.size(), 0.0F);
  read_vector(norm.weight, precision_, read.weight);
  if (norm.bias) read_vector(*norm.bias, precision_, read.bias);
  return read;
}

Result<Decoder::Linear> Decoder::pack_linear(const std::vector<const model::Affine*>& parts,
                                             Storage storage) const {
  std::vector<const model::Tensor*> weights;
  for (const model::Affine* part : parts) weights.push_back(&part->weight);
  auto matrix = PackedMatrix::pack(weights, storage, precision_);
  if (!matrix) return std::move(matrix).error();
  Linear linear;
  linear.matrix = *std::move(matrix);
  int64_t column = 0;
  for (const model::Affine* part : parts) {
    if (part->bias) {
      linear.bias.resize(static_cast<size_t>(linear.matrix.columns()), 0.0F);
      read_vector(*part->bias, precision_, linear.bias, column);
    }
    column += padded(part->weight.shape[0]);
  }
  return linear;
}

Status Decoder::pack(const model::LoadedModel& model, Storage storage) {
  Status status;
  const auto take = [&](auto result) {
    if (result) return *std::move(result);
    if (status) status = std::move(result).error();
    return std::decay_t<decltype(*std::move(result))>();
  };
  const auto table = [&](const model::Tensor& tensor) {
    const model::Tensor* parts[] = {&tensor};
    return take(PackedMatrix::pack(parts, storage, precision_));
  };
  embedding_ = table(model.weights.embedding);
  if (model.weights.positions) positions_ = table(*model.weights.positions);
  if (!config_.spec.tied_embeddings) lm_head_ = table(model.weights.lm_head);
  for (const model::LayerWeights& weights : model.weights.layers) {
    Layer layer;
    layer.attention_norm = read_norm(weights.attention_norm);
    layer.qkv = take(pack_linear({&weights.q, &weights.k, &weights.v}, storage));
    if (weights.q_norm) layer.q_norm = read_head_norm(*weights.q_norm, precision_);
    if (weights.k_norm) layer.k_norm = read_head_norm(*weights.k_norm, precision_);
    layer.o = take(pack_linear({&weights.o}, storage));
    layer.feed_forward_norm = read_norm(weights.feed_forward_norm);
    layer.gate_up = take(weights.gate ? pack_linear({&*weights.gate, &weights.up}, storage)
                                      : pack_linear({&weights.up}, storage));
    layer.down = take(pack_linear({&weights.down}, storage));
    layers_.push_back(std::move(layer));
  }
  final_norm_ = read_norm(model.weights.final_norm);
  return status;
}

KvShape Decoder::kv_shape() const {
  return {config_.num_layers, config_.num_kv_heads, config_.head_dim,
          precision_ == Rounding::kBFloat16 ? Storage::kBFloat16 : Storage::kFloat32};
}

int64_t Decoder::weight_bytes() const {
  int64_t floats = 0;
  int64_t bytes = embedding_.bytes() + positions_.bytes() + lm_head_.bytes();
  const auto add_norm = [&](const Norm& norm) {
    floats += static_cast<int64_t>(norm.weight.size());
    if (config_.spec.norm.bias) floats += static_cast<int64_t>(norm.bias.size());
  };
  for (const Layer& layer : layers_) {
    for (const Linear* linear : {&layer.qkv, &layer.o, &layer.gate_up, &layer.down}) {
      bytes += linear->matrix.bytes();
      floats += static_cast<int64_t>(linear->bias.size());
    }
    floats += static_cast<int64_t>(layer.q_norm.size() + layer.k_norm.size());
    add_norm(layer.attention_norm);
    add_norm(layer.feed_forward_norm);
  }
  add_norm(final_norm_);
  return bytes + 4 * floats;
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
  std::vector<float> position_row(width);
  const auto add_position = [&](int32_t position, float* row) {
    positions_.read_row(position + config_.spec.learned_positions->offset, position_row);
    for (size_t j = 0; j < width; ++j) {
      const float sum = row[j] + position_row[j];
      row[j] =
          precision_ == Rounding::kNone ? sum : model::bf16_to_float(model::float_to_bf16(sum));
    }
  };
  const bool learned = config_.spec.learned_positions.has_value();
  for (const Run& run : runs) {
    for (size_t i = 0; i < run.tokens.size(); ++i) {
      float* row = hidden.row(run.first_row + static_cast<int64_t>(i));
      embedding_.read_row(run.tokens[i], {row, width});
      if (learned) add_position(run.first_position + static_cast<int32_t>(i), row);
      std::fill(row + width, row + hidden.stride, 0.0F);
    }
  }
}

void Decoder::compute_rotations(std::span<const Run> runs, int64_t rows) {
  if (!config_.spec.rope) return;
  const std::vector<float>& frequencies = config_.spec.rope->inverse_frequencies;
  const double factor = config_.spec.rope->attention_factor;
  const size_t half = frequencies.size();
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
        const float angle = position * frequencies[j];
        cosines_[at + j] = stored(factor * std::cos(static_cast<double>(angle)));
        sines_[at + j] = stored(factor * std::sin(static_cast<double>(angle)));
      }
    }
  }
}

/// hidden += added, and its norm; `added` null: only the norm.
void Decoder::add_and_norm(const Rows& hidden, const Rows* added, const Norm& norm,
                           const Rows& out) {
  const float eps = static_cast<float>(config_.spec.norm.eps);
  const bool rms = config_.spec.norm.kind == model::NormSpec::Kind::kRms;
  pool_->run(hidden.rows, [&](int64_t row, int) {
    const float* x = added != nullptr ? added->row(row) : nullptr;
    if (rms) {
      kernels_->add_rms_norm(hidden.row(row), x, norm.weight.data(), config_.hidden_size, eps,
                             precision_, out.row(row));
    } else {
      kernels_->add_layer_norm(hidden.row(row), x, norm.weight.data(), norm.bias.data(),
                               config_.hidden_size, eps, precision_, out.row(row));
    }
  });
}

void Decoder::multiply(const Rows& in, const Linear& linear, const Rows& out) {
  const bool bias = !linear.bias.empty();
  // Rounded once, after the bias.
  matmul(*kernels_, *pool_, in, linear.matrix, out, bias ? Rounding::kNone : precision_, scratch_);
  if (!bias) return;
  pool_->run(in.rows, [&](int64_t row, int) {
    kernels_->add_bias(out.row(row), linear.bias.data(), linear.matrix.columns(), precision_);
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

void Decoder::feed_forward(const Layer& layer, const Rows& normed, const Rows& projected) {
  const Rows gate_up = gate_up_.resize(normed.rows, layer.gate_up.matrix.columns());
  const int64_t inner = padded(config_.intermediate_size);
  const Rows activated = config_.spec.gated ? activated_.resize(normed.rows, inner) : gate_up;
  multiply(normed, layer.gate_up, gate_up);
  pool_->run(normed.rows, [&](int64_t row, int) {
    float* gate = gate_up.row(row);
    if (config_.spec.gated) {
      kernels_->silu_mul(gate, gate + inner, config_.intermediate_size, precision_,
                         activated.row(row));
    } else {
      kernels_->relu(gate, inner);
    }
  });
  multiply(activated, layer.down, projected);
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
  scores_.resize(static_cast<size_t>(pool_->threads()));
  packed_.resize(scores_.size());
  for (std::vector<float>& one : packed_) {
    one.resize(static_cast<size_t>(2 * kAttendRows * padded(config_.head_dim)));
  }
  embed(runs, hidden);
  compute_rotations(runs, rows);
  const Rows* added = nullptr;  // what the last block adds to the residual stream
  for (size_t i = 0; i < layers_.size(); ++i) {
    const int32_t index = static_cast<int32_t>(i);
    const Layer& layer = layers_[i];
    const Rows qkv = qkv_.resize(rows, layer.qkv.matrix.columns());
    const Rows attended = attended_.resize(rows, k_column());
    add_and_norm(hidden, added, layer.attention_norm, normed);
    multiply(normed, layer.qkv, qkv);
    store_heads(index, runs, qkv, cache);
    attend(index, runs, qkv, cache, attended);
    multiply(attended, layer.o, projected);
    added = &projected;
    add_and_norm(hidden, added, layer.feed_forward_norm, normed);
    feed_forward(layer, normed, projected);
  }
  add_and_norm(hidden, added, final_norm_, normed);
}

void Decoder::logits(std::span<const int64_t> rows,
                     const std::function<void(int64_t first, const Rows& logits)>& use) {
  const PackedMatrix& head = config_.spec.tied_embeddings ? embedding_ : lm_head_;
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
