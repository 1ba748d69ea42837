#include "reference_engine/backend/cpu/decoder.h"

#include <algorithm>
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

/// Adds what each run's adapter makes of `in` to `out`.
void Decoder::adapt(std::span<const Run> runs, int32_t layer,
                    LowRankProduct PackedAdapter::Layer::*part, const Rows& in, const Rows& out) {
  for (size_t first = 0; first < runs.size();) {
    const PackedAdapter* const adapter = runs[first].adapter;
    int64_t rows = 0;
    size_t end = first;
    for (; end < runs.size() && runs[end].adapter == adapter; ++end) {
      rows += static_cast<int64_t>(runs[end].tokens.size());
    }
    if (adapter != nullptr) {
      const int64_t row = runs[first].first_row;
      add_low_rank(*kernels_, *pool_, {in.row(row), rows, in.stride}, adapter->layer(layer).*part,
                   {out.row(row), rows, out.stride}, precision_, adapter_scratch_);
    }
    first = end;
  }
}

void Decoder::feed_forward(int32_t index, std::span<const Run> runs, const Rows& normed,
                           const Rows& projected) {
  const Layer& layer = layers_[static_cast<size_t>(index)];
  const Rows gate_up = gate_up_.resize(normed.rows, layer.gate_up.matrix.columns());
  const int64_t inner = padded(config_.intermediate_size);
  const Rows activated = config_.spec.gated ? activated_.resize(normed.rows, inner) : gate_up;
  multiply(normed, layer.gate_up, gate_up);
  adapt(runs, index, &PackedAdapter::Layer::gate_up, normed, gate_up);
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
  adapt(runs, index, &PackedAdapter::Layer::down, activated, projected);
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
    adapt(runs, index, &PackedAdapter::Layer::qkv, normed, qkv);
    store_heads(index, runs, qkv, cache);
    attend(index, runs, qkv, cache, attended);
    multiply(attended, layer.o, projected);
    adapt(runs, index, &PackedAdapter::Layer::o, attended, projected);
    added = &projected;
    add_and_norm(hidden, added, layer.feed_forward_norm, normed);
    feed_forward(index, runs, normed, projected);
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
