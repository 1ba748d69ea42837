#include "reference_engine/backend/cuda/weights.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "reference_engine/backend/cuda/elements.h"

namespace touchstone::backend::cuda {
namespace {

constexpr int64_t kAlignment = 256;
constexpr int64_t kStagingBytes = int64_t{32} << 20;

/// Tensors that lie one below the other in a matrix of the device.
struct Part {
  const model::Tensor* tensor;
  int64_t first_row;
};

/// One array of the device and where its address goes.
struct Placed {
  std::vector<Part> parts;
  int64_t rows;
  int64_t width;
  int64_t stride;
  const void** address;
  int64_t offset;
};

/// Lays arrays out in one piece of memory, then fills it.
class Arena final {
 public:
  Arena(Device& device, Element element) : device_(device), element_(element) {}

  void place(const void** address, std::vector<Part> parts, int64_t rows, int64_t width,
             int64_t stride) {
    arrays_.push_back({std::move(parts), rows, width, stride, address, size_});
    const int64_t bytes = rows * stride * element_bytes(element_);
    size_ += (bytes + kAlignment - 1) / kAlignment * kAlignment;
  }
  /// A vector, or a table whose rows follow each other.
  void place(const void** address, const model::Tensor& tensor) {
    const int64_t width = tensor.shape.back();
    place(address, {{&tensor, 0}}, tensor.elements() / width, width, width);
  }
  /// Plain f32 numbers.
  void place(const float** address, std::span<const float> values) {
    tables_.push_back({values, address, size_});
    size_ += (static_cast<int64_t>(values.size_bytes()) + kAlignment - 1) / kAlignment * kAlignment;
  }

  Result<DeviceBuffer> fill() {
    auto memory = DeviceBuffer::make(device_, size_, "weights");
    if (!memory) return std::move(memory).error();
    auto staging = PinnedBuffer::make(device_, kStagingBytes);
    if (!staging) return std::move(staging).error();
    for (const Placed& array : arrays_) {
      std::byte* to = memory->at<std::byte>(array.offset);
      *array.address = to;
      RETURN_IF_ERROR(fill_array(array, *staging, to));
    }
    for (const Table& table : tables_) {
      float* to = memory->at<float>(table.offset);
      *table.address = to;
      RETURN_IF_ERROR(upload(device_, *staging, std::as_bytes(table.values), to));
    }
    return memory;
  }

 private:
  struct Table {
    std::span<const float> values;
    const float** address;
    int64_t offset;
  };

  /// Rows that no part covers, and what lies behind a row's width, are zeros.
  Status fill_array(const Placed& array, const PinnedBuffer& staging, std::byte* to) {
    const int64_t row_bytes = array.stride * element_bytes(element_);
    const int64_t some = std::clamp<int64_t>(kStagingBytes / row_bytes, 1, array.rows);
    std::vector<float> values(static_cast<size_t>(array.width));
    std::vector<std::byte> rows(static_cast<size_t>(some * row_bytes));
    for (int64_t first = 0; first < array.rows; first += some) {
      const int64_t end = std::min(array.rows, first + some);
      std::fill(rows.begin(), rows.end(), std::byte{0});
      for (const Part& part : array.parts) {
        const int64_t of_part = part.tensor->elements() / array.width;
        const int64_t from = std::max(first, part.first_row);
        const int64_t until = std::min(end, part.first_row + of_part);
        for (int64_t row = from; row < until; ++row) {
          write_row(*part.tensor, (row - part.first_row) * array.width, values,
                    rows.data() + (row - first) * row_bytes);
        }
      }
      const auto filled = std::span(rows).first(static_cast<size_t>((end - first) * row_bytes));
      RETURN_IF_ERROR(upload(device_, staging, filled, to + first * row_bytes));
    }
    return {};
  }

  /// Elements from `first` on, as many as `values` has room for.
  void write_row(const model::Tensor& tensor, int64_t first, std::vector<float>& values,
                 std::byte* to) const {
    if (tensor.dtype == dtype_of(element_)) {
      const int64_t size = element_bytes(element_);
      std::memcpy(to, tensor.bytes.data() + first * size, values.size() * size);
      return;
    }
    model::read_floats(tensor, first, values);
    write_elements(element_, values, to);
  }

  Device& device_;
  Element element_;
  std::vector<Placed> arrays_;
  std::vector<Table> tables_;
  int64_t size_ = 0;
};

void place_norm(Arena& arena, const model::Affine& norm, NormWeights& out) {
  arena.place(&out.weight, norm.weight);
  if (norm.bias) arena.place(&out.bias, *norm.bias);
}

/// `firsts`: the first column of each part.
void place_projection(Arena& arena, Element element, const std::vector<const model::Affine*>& parts,
                      const std::vector<int64_t>& firsts, Projection& out) {
  std::vector<Part> matrices;
  std::vector<Part> biases;
  for (size_t i = 0; i < parts.size(); ++i) {
    matrices.push_back({&parts[i]->weight, firsts[i]});
    if (parts[i]->bias) biases.push_back({&*parts[i]->bias, firsts[i]});
  }
  out.weights.element = element;
  out.weights.columns = firsts.back() + parts.back()->weight.shape[0];
  out.weights.depth = parts.back()->weight.shape[1];
  out.weights.stride = padded_width(out.weights.depth);
  arena.place(&out.weights.matrix, std::move(matrices), out.weights.columns, out.weights.depth,
              out.weights.stride);
  if (biases.empty()) return;
  arena.place(&out.weights.bias, std::move(biases), out.weights.columns, 1, 1);
}

void place_layer(Arena& arena, Element element, const model::Config& config,
                 const model::LayerWeights& from, LayerOnDevice& layer) {
  const int64_t q = int64_t{config.num_heads} * config.head_dim;
  const int64_t kv = int64_t{config.num_kv_heads} * config.head_dim;
  place_norm(arena, from.attention_norm, layer.attention_norm);
  place_projection(arena, element, {&from.q, &from.k, &from.v}, {0, q, q + kv}, layer.qkv);
  if (from.q_norm) arena.place(&layer.q_norm, *from.q_norm);
  if (from.k_norm) arena.place(&layer.k_norm, *from.k_norm);
  place_projection(arena, element, {&from.o}, {0}, layer.o);
  place_norm(arena, from.feed_forward_norm, layer.feed_forward_norm);
  if (from.gate) {
    place_projection(arena, element, {&*from.gate, &from.up},
                     {0, up_column(config.intermediate_size)}, layer.gate_up);
  } else {
    place_projection(arena, element, {&from.up}, {0}, layer.gate_up);
  }
  place_projection(arena, element, {&from.down}, {0}, layer.down);
}

struct Rotations {
  std::vector<float> cosines;
  std::vector<float> sines;
};

/// Angles as f32, as transformers computes them.
Rotations rotations(const model::Config& config, Element element) {
  Rotations made;
  if (!config.spec.rope) return made;
  const double factor = config.spec.rope->attention_factor;
  for (int32_t position = 0; position < config.max_position_embeddings; ++position) {
    for (const float frequency : config.spec.rope->inverse_frequencies) {
      const double angle = static_cast<float>(position) * frequency;
      made.cosines.push_back(rounded(element, static_cast<float>(factor * std::cos(angle))));
      made.sines.push_back(rounded(element, static_cast<float>(factor * std::sin(angle))));
    }
  }
  return made;
}

}  // namespace

Result<Weights> Weights::upload(Device& device, Gemm& gemm, const model::LoadedModel& model,
                                Element element) {
  const model::Config& config = model.config;
  Weights weights;
  Arena arena(device, element);
  arena.place(&weights.embedding, model.weights.embedding);
  if (model.weights.positions) arena.place(&weights.positions, *model.weights.positions);
  weights.layers.resize(model.weights.layers.size());
  for (size_t i = 0; i < weights.layers.size(); ++i) {
    place_layer(arena, element, config, model.weights.layers[i], weights.layers[i]);
  }
  place_norm(arena, model.weights.final_norm, weights.final_norm);
  const bool shared = config.spec.tied_embeddings && config.hidden_size % 8 == 0;
  GemmWeights& head = weights.lm_head.weights;
  head = {.element = element,
          .columns = config.vocab_size,
          .depth = config.hidden_size,
          .stride = padded_width(config.hidden_size)};
  if (!shared) {
    const model::Tensor& tensor =
        config.spec.tied_embeddings ? model.weights.embedding : model.weights.lm_head;
    arena.place(&head.matrix, {{&tensor, 0}}, head.columns, head.depth, head.stride);
  }
  const Rotations turned = rotations(config, element);
  if (!turned.cosines.empty()) {
    arena.place(&weights.cosines, turned.cosines);
    arena.place(&weights.sines, turned.sines);
  }
  auto memory = arena.fill();
  if (!memory) return std::move(memory).error();
  weights.memory_ = *std::move(memory);
  if (shared) head.matrix = weights.embedding;
  const auto add = [&](Projection& projection) -> Status {
    const auto number = gemm.add(projection.weights);
    if (!number) return number.error();
    projection.gemm = *number;
    return {};
  };
  for (LayerOnDevice& layer : weights.layers) {
    for (Projection* projection : {&layer.qkv, &layer.o, &layer.gate_up, &layer.down}) {
      RETURN_IF_ERROR(add(*projection));
    }
  }
  RETURN_IF_ERROR(add(weights.lm_head));
  return weights;
}

}  // namespace touchstone::backend::cuda
