#include "reference_engine/backend/cpu/packed_adapter.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace touchstone::backend::cpu {
namespace {

/// A projection's adapter and where its result lies.
struct LowRankPlace {
  const std::optional<model::LowRank>* matrices = nullptr;
  int64_t out_column = 0;
};

Result<LowRankProduct> pack_product(const std::vector<LowRankPlace>& places, Storage storage) {
  LowRankProduct product;
  std::vector<const model::Tensor*> stacked;
  int64_t inner_column = 0;
  for (const LowRankPlace& place : places) {
    if (!place.matrices->has_value()) continue;
    const model::LowRank& matrices = **place.matrices;
    const model::Tensor* const b = &matrices.b;
    auto packed = PackedMatrix::pack({&b, 1}, storage);
    if (!packed) return std::move(packed).error();
    product.parts.push_back({.b = *std::move(packed),
                             .inner_column = inner_column,
                             .out_column = place.out_column,
                             .scale = static_cast<float>(matrices.scale)});
    stacked.push_back(&matrices.a);
    inner_column += padded(matrices.a.shape[0]);
  }
  if (stacked.empty()) return product;
  auto a = PackedMatrix::pack(stacked, storage);
  if (!a) return std::move(a).error();
  product.a = *std::move(a);
  return product;
}

Rows resize(std::vector<float>& values, int64_t rows, int64_t stride) {
  const size_t size = static_cast<size_t>(rows * stride);
  if (values.size() < size) values.resize(size);
  return {values.data(), rows, stride};
}

}  // namespace

Result<PackedAdapter> PackedAdapter::pack(const model::LoadedAdapter& adapter,
                                          const model::Config& config, Storage storage) {
  const int64_t q_columns = padded(int64_t{config.num_heads} * config.head_dim);
  const int64_t kv_columns = padded(int64_t{config.num_kv_heads} * config.head_dim);
  const int64_t up_column = config.spec.gated ? padded(config.intermediate_size) : 0;
  PackedAdapter packed;
  for (const model::AdapterLayer& from : adapter.layers) {
    Layer& layer = packed.layers_.emplace_back();
    const std::pair<LowRankProduct*, std::vector<LowRankPlace>> products[] = {
        {&layer.qkv, {{&from.q, 0}, {&from.k, q_columns}, {&from.v, q_columns + kv_columns}}},
        {&layer.o, {{&from.o, 0}}},
        {&layer.gate_up, {{&from.gate, 0}, {&from.up, up_column}}},
        {&layer.down, {{&from.down, 0}}}};
    for (const auto& [place, parts] : products) {
      auto product = pack_product(parts, storage);
      if (!product) return std::move(product).error();
      *place = *std::move(product);
    }
  }
  return packed;
}

int64_t PackedAdapter::bytes_max(const model::Config& config, int32_t rank, Storage storage) {
  const int64_t elements = model::adapter_elements(config, rank, kPanelWidth);
  return elements * (storage == Storage::kFloat32 ? 4 : 2);
}

int64_t PackedAdapter::workspace_bytes(const model::Config& config, int32_t rank, int64_t rows) {
  const int64_t widest = std::max<int64_t>(
      {config.hidden_size, config.intermediate_size, int64_t{config.num_heads} * config.head_dim});
  return 4 * rows * (3 * padded(rank) + 2 * padded(widest));
}

void add_low_rank(const Kernels& kernels, ThreadPool& pool, const Rows& in,
                  const LowRankProduct& product, const Rows& out, Rounding rounding,
                  LowRankScratch& scratch) {
  if (product.parts.empty()) return;
  const Rows inner = resize(scratch.inner, in.rows, product.a.columns());
  matmul(kernels, pool, in, product.a, inner, Rounding::kNone, scratch.matmul);
  for (const LowRankProduct::Part& part : product.parts) {
    const int64_t columns = part.b.columns();
    const Rows delta = resize(scratch.delta, in.rows, columns);
    const Rows narrowed{inner.data + part.inner_column, inner.rows, inner.stride};
    matmul(kernels, pool, narrowed, part.b, delta, Rounding::kNone, scratch.matmul);
    pool.run(in.rows, [&](int64_t row, int) {
      kernels.add_scaled(out.row(row) + part.out_column, delta.row(row), part.scale, columns,
                         rounding);
    });
  }
}

}  // namespace touchstone::backend::cpu
