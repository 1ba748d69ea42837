#include "reference_engine/backend/cuda/decoder.h"

#include <cmath>
#include <utility>

#include "base/check.h"

namespace touchstone::backend::cuda {
namespace {

constexpr int64_t kAlignment = 256;

Status check_spec(const model::Config& config) {
  if (config.head_dim > kMaxHeadDim || config.head_dim % 2 != 0) {
    return Error{ErrorCode::kUnsupported,
                 "head_dim: got " + std::to_string(config.head_dim) +
                     ", expected an even number up to " + std::to_string(kMaxHeadDim),
                 "--device cpu computes it"};
  }
  return {};
}

cuda::Activation activation_of(model::Activation activation) {
  switch (activation) {
    case model::Activation::kSilu:
      return cuda::Activation::kSilu;
    case model::Activation::kRelu:
      return cuda::Activation::kRelu;
  }
  return cuda::Activation::kSilu;
}

}  // namespace

Result<Decoder> Decoder::make(Device& device, Gemm& gemm, const model::LoadedModel& model,
                              Element element) {
  RETURN_IF_ERROR(check_spec(model.config));
  auto weights = Weights::upload(device, gemm, model, element);
  if (!weights) return std::move(weights).error();
  Decoder decoder(device, gemm, model.config, element);
  decoder.weights_ = *std::move(weights);
  return decoder;
}

KvShape Decoder::kv_shape() const {
  return {.element = element_,
          .layers = config_.num_layers,
          .heads = config_.num_kv_heads,
          .head_dim = config_.head_dim};
}

/// Where everything lies from `base` on, and how many bytes that takes.
int64_t Decoder::lay_out(const Room& room, std::byte* base) {
  int64_t size = 0;
  const auto take = [&](int64_t bytes) {
    std::byte* at = base + size;
    size += (bytes + kAlignment - 1) / kAlignment * kAlignment;
    return at;
  };
  const auto rows_of = [&](int64_t rows, int64_t width) {
    const int64_t stride = padded_width(width);
    return GemmRows{take(Gemm::padded_rows(rows) * stride * element_bytes(element_)), stride};
  };
  const int64_t q = int64_t{config_.num_heads} * config_.head_dim;
  const int64_t kv = int64_t{config_.num_kv_heads} * config_.head_dim;
  const int64_t inner = config_.intermediate_size;
  residual_ = rows_of(room.rows, config_.hidden_size);
  normed_ = rows_of(room.rows, config_.hidden_size);
  projected_ = rows_of(room.rows, config_.hidden_size);
  qkv_ = rows_of(room.rows, q + 2 * kv);
  attended_ = rows_of(room.rows, q);
  gate_up_ = rows_of(room.rows, config_.spec.gated ? up_column(inner) + inner : inner);
  activated_ = rows_of(room.rows, inner);
  chosen_ = rows_of(room.logit_rows, config_.hidden_size);
  logits_ = rows_of(room.logit_rows, config_.vocab_size);
  attend_workspace_ = take(attend_workspace_bytes(room.single_sequences, config_.num_heads,
                                                  config_.head_dim, room.max_length));
  return size;
}

int64_t Decoder::workspace_bytes(const Room& room) const {
  Decoder copy(*device_, *gemm_, config_, element_);
  return copy.lay_out(room, nullptr);
}

Status Decoder::allocate(const Room& room) {
  auto memory = DeviceBuffer::make(*device_, workspace_bytes(room), "working memory");
  if (!memory) return std::move(memory).error();
  memory_ = *std::move(memory);
  lay_out(room, memory_.at<std::byte>());
  // Rows beyond the asked for are computed with: they must hold numbers.
  return device_->fill_zero(memory_.at(), memory_.size());
}

Status Decoder::embed_rows(const ForwardInputs& inputs) {
  const auto& learned = config_.spec.learned_positions;
  const Embed args{.element = element_,
                   .rows = inputs.rows,
                   .width = config_.hidden_size,
                   .tokens = inputs.tokens,
                   .latest = inputs.latest,
                   .table = weights_.embedding,
                   .position_table = weights_.positions,
                   .positions = inputs.positions,
                   .position_offset = learned ? learned->offset : 0,
                   .out = residual_.data,
                   .out_stride = residual_.stride};
  return device_->enqueue([args](Stream stream) -> Status {
    embed(args, stream);
    return {};
  });
}

/// residual += added (unless null), normed = its norm.
Status Decoder::norm(const NormWeights& weights, int64_t rows, const void* added) {
  const model::NormSpec& spec = config_.spec.norm;
  const AddNorm args{.element = element_,
                     .norm = spec.kind == model::NormSpec::Kind::kRms ? Norm::kRms : Norm::kLayer,
                     .rows = rows,
                     .width = config_.hidden_size,
                     .residual = residual_.data,
                     .added = added,
                     .weight = weights.weight,
                     .bias = weights.bias,
                     .eps = static_cast<float>(spec.eps),
                     .out = normed_.data,
                     .stride = residual_.stride};
  return device_->enqueue([args](Stream stream) -> Status {
    add_norm(args, stream);
    return {};
  });
}

Status Decoder::attend(const ForwardInputs& inputs, int32_t layer, const KvCache& cache) {
  const LayerOnDevice& weights = weights_.layers[static_cast<size_t>(layer)];
  const int64_t q = int64_t{config_.num_heads} * config_.head_dim;
  const StoreHeads store{.element = element_,
                         .rows = inputs.rows,
                         .num_heads = config_.num_heads,
                         .num_kv_heads = config_.num_kv_heads,
                         .head_dim = config_.head_dim,
                         .qkv = qkv_.data,
                         .stride = qkv_.stride,
                         .k_column = q,
                         .v_column = q + int64_t{config_.num_kv_heads} * config_.head_dim,
                         .q_norm = weights.q_norm,
                         .k_norm = weights.k_norm,
                         .eps = static_cast<float>(config_.spec.norm.eps),
                         .cosines = weights_.cosines,
                         .sines = weights_.sines,
                         .positions = inputs.positions,
                         .slots = inputs.slots,
                         .pages = cache.pages(layer)};
  RETURN_IF_ERROR(device_->enqueue([store](Stream stream) -> Status {
    store_heads(store, stream);
    return {};
  }));
  const auto args_of = [&](const AttendGroup& group) {
    return Attend{.element = element_,
                  .num_sequences = group.sequences,
                  .num_heads = config_.num_heads,
                  .num_kv_heads = config_.num_kv_heads,
                  .head_dim = config_.head_dim,
                  .queries = qkv_.data,
                  .query_stride = qkv_.stride,
                  .out = attended_.data,
                  .out_stride = attended_.stride,
                  .row_starts = group.row_starts,
                  .lengths = group.lengths,
                  .block_tables = group.block_tables,
                  .table_stride = group.table_stride,
                  .window = config_.spec.window(layer).value_or(0),
                  .scale = 1.0F / std::sqrt(static_cast<float>(config_.head_dim)),
                  .pages = cache.pages(layer),
                  .max_rows = group.max_rows,
                  .max_length = group.max_length};
  };
  if (inputs.single.sequences > 0) {
    const Attend args = args_of(inputs.single);
    void* const workspace = attend_workspace_;
    RETURN_IF_ERROR(device_->enqueue([args, workspace](Stream stream) -> Status {
      attend_decode(args, workspace, stream);
      return {};
    }));
  }
  if (inputs.several.sequences == 0) return {};
  const Attend args = args_of(inputs.several);
  return device_->enqueue([args](Stream stream) -> Status {
    attend_prefill(args, stream);
    return {};
  });
}

Status Decoder::feed_forward(const LayerOnDevice& layer, int64_t rows) {
  RETURN_IF_ERROR(multiply(layer.gate_up, normed_, rows, gate_up_));
  const int64_t up = up_column(config_.intermediate_size) * element_bytes(element_);
  const Activate args{
      .element = element_,
      .activation = activation_of(config_.spec.activation),
      .rows = rows,
      .width = config_.intermediate_size,
      .gate = gate_up_.data,
      .up = config_.spec.gated ? static_cast<std::byte*>(gate_up_.data) + up : nullptr,
      .in_stride = gate_up_.stride,
      .out = activated_.data,
      .out_stride = activated_.stride};
  RETURN_IF_ERROR(device_->enqueue([args](Stream stream) -> Status {
    activate(args, stream);
    return {};
  }));
  return multiply(layer.down, activated_, rows, projected_);
}

Status Decoder::forward(const ForwardInputs& inputs, const KvCache& cache) {
  RETURN_IF_ERROR(embed_rows(inputs));
  const void* added = nullptr;  // what the last part adds to the residual stream
  for (int32_t index = 0; index < config_.num_layers; ++index) {
    const LayerOnDevice& layer = weights_.layers[static_cast<size_t>(index)];
    RETURN_IF_ERROR(norm(layer.attention_norm, inputs.rows, added));
    RETURN_IF_ERROR(multiply(layer.qkv, normed_, inputs.rows, qkv_));
    RETURN_IF_ERROR(attend(inputs, index, cache));
    RETURN_IF_ERROR(multiply(layer.o, attended_, inputs.rows, projected_));
    added = projected_.data;
    RETURN_IF_ERROR(norm(layer.feed_forward_norm, inputs.rows, added));
    RETURN_IF_ERROR(feed_forward(layer, inputs.rows));
  }
  return norm(weights_.final_norm, inputs.rows, added);
}

Status Decoder::compute_logits(const int32_t* indices, int64_t count) {
  const GatherRows args{.element = element_,
                        .rows = count,
                        .width = config_.hidden_size,
                        .indices = indices,
                        .in = normed_.data,
                        .in_stride = normed_.stride,
                        .out = chosen_.data,
                        .out_stride = chosen_.stride};
  RETURN_IF_ERROR(device_->enqueue([args](Stream stream) -> Status {
    gather_rows(args, stream);
    return {};
  }));
  return multiply(weights_.lm_head, chosen_, count, logits_);
}

}  // namespace touchstone::backend::cuda
