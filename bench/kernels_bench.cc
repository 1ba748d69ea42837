// The matrix products of a decoder, beside what the machine can do: decode (one row) against
// memory bandwidth, prefill against the rate of fused multiply-adds and against oneDNN in f32.
#include <benchmark/benchmark.h>

#include <cstring>
#include <dnnl.hpp>
#include <memory>
#include <vector>

#include "base/random.h"
#include "bench/kernels_ceilings.h"
#include "reference_engine/backend/cpu/cpu_features.h"
#include "reference_engine/backend/cpu/packed_matrix.h"

namespace touchstone::bench {
namespace {

using namespace backend::cpu;  // NOLINT: a benchmark of exactly that

std::vector<float> random_floats(int64_t count) {
  RandomStream random(1, "bench");
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = static_cast<float>(random.uniform() - 0.5);
  return values;
}

/// With bf16 weights all arithmetic is bf16's, as in a model of that type.
Rounding rounding_of(Storage storage) {
  return storage == Storage::kBFloat16 ? Rounding::kBFloat16 : Rounding::kNone;
}

PackedMatrix random_matrix(int64_t n, int64_t k, Storage storage) {
  const std::vector<float> values = random_floats(n * k);
  model::Tensor tensor;
  tensor.shape = {n, k};
  tensor.bytes = std::as_bytes(std::span(values));
  const model::Tensor* parts[] = {&tensor};
  auto matrix = PackedMatrix::pack(parts, storage, rounding_of(storage));
  BASE_CHECK(matrix.has_value(), matrix.error().message);
  return *std::move(matrix);
}

const Kernels& kernels_of(int64_t index) {
  return *supported_kernels()[static_cast<size_t>(index)];
}

void report(benchmark::State& state, const char* name, double per_iteration, double ceiling) {
  state.counters[name] =
      benchmark::Counter(per_iteration, benchmark::Counter::kIsIterationInvariantRate);
  state.counters["of_ceiling"] =
      benchmark::Counter(per_iteration / ceiling, benchmark::Counter::kIsIterationInvariantRate);
}

/// A product's arguments: rows M, output N, input K, storage, kernels.
struct Product {
  explicit Product(const benchmark::State& state)
      : m(state.range(0)),
        n(state.range(1)),
        k(state.range(2)),
        storage(state.range(3) != 0 ? Storage::kBFloat16 : Storage::kFloat32),
        kernels(kernels_of(state.range(4))) {}
  double flops() const { return 2.0 * static_cast<double>(m * n * k); }

  int64_t m, n, k;
  Storage storage;
  const Kernels& kernels;
};

/// Several equal matrices take turns, so that the weights come from memory as in a real step.
void decode(benchmark::State& state) {
  const Product p(state);
  constexpr int64_t kTotalBytes = int64_t{384} << 20;
  std::vector<PackedMatrix> matrices;
  matrices.push_back(random_matrix(p.n, p.k, p.storage));
  const int64_t copies = std::max<int64_t>(1, kTotalBytes / matrices[0].bytes());
  while (static_cast<int64_t>(matrices.size()) < copies) {
    matrices.push_back(random_matrix(p.n, p.k, p.storage));
  }
  std::vector<float> input = random_floats(p.m * p.k);
  std::vector<float> output(static_cast<size_t>(p.m * matrices[0].columns()));
  MatmulScratch scratch;
  size_t turn = 0;
  for (auto _ : state) {
    const PackedMatrix& matrix = matrices[turn++ % matrices.size()];
    matmul(p.kernels, pool(), {input.data(), p.m, p.k}, matrix,
           {output.data(), p.m, matrix.columns()}, rounding_of(p.storage), scratch);
    benchmark::DoNotOptimize(output.data());
  }
  state.SetLabel(p.kernels.name);
  report(state, "bytes_per_s", static_cast<double>(matrices[0].bytes()),
         ceilings().read_bytes_per_second);
}

void prefill(benchmark::State& state) {
  const Product p(state);
  const PackedMatrix matrix = random_matrix(p.n, p.k, p.storage);
  std::vector<float> input = random_floats(p.m * p.k);
  std::vector<float> output(static_cast<size_t>(p.m * matrix.columns()));
  MatmulScratch scratch;
  for (auto _ : state) {
    matmul(p.kernels, pool(), {input.data(), p.m, p.k}, matrix,
           {output.data(), p.m, matrix.columns()}, rounding_of(p.storage), scratch);
    benchmark::DoNotOptimize(output.data());
  }
  state.SetLabel(p.kernels.name);
  report(state, "flops", p.flops(), ceilings().flops_per_second);
}

/// The peer: oneDNN's f32 matmul with weights packed as it likes them.
void prefill_onednn(benchmark::State& state) {
  const int64_t m = state.range(0);
  const int64_t n = state.range(1);
  const int64_t k = state.range(2);
  dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  dnnl::stream stream(engine);
  using Tag = dnnl::memory::format_tag;
  using Desc = dnnl::memory::desc;
  constexpr auto kF32 = dnnl::memory::data_type::f32;
  const Desc a_desc({m, k}, kF32, Tag::ab);
  const Desc b_desc({k, n}, kF32, Tag::any);
  const Desc c_desc({m, n}, kF32, Tag::ab);
  const dnnl::matmul::primitive_desc primitive({a_desc, b_desc, c_desc}, engine);
  dnnl::memory a(a_desc, engine);
  dnnl::memory plain({{k, n}, kF32, Tag::ba}, engine);
  dnnl::memory b(primitive.weights_desc(), engine);
  dnnl::memory c(c_desc, engine);
  const std::vector<float> a_values = random_floats(m * k);
  const std::vector<float> b_values = random_floats(n * k);
  std::memcpy(a.get_data_handle(), a_values.data(), a_values.size() * 4);
  std::memcpy(plain.get_data_handle(), b_values.data(), b_values.size() * 4);
  dnnl::reorder(plain, b).execute(stream, plain, b);
  const dnnl::matmul product(primitive);
  for (auto _ : state) {
    product.execute(stream, {{DNNL_ARG_SRC, a}, {DNNL_ARG_WEIGHTS, b}, {DNNL_ARG_DST, c}});
    stream.wait();
  }
  state.SetLabel(primitive.impl_info_str());
  report(state, "flops", 2.0 * static_cast<double>(m * n * k), ceilings().flops_per_second);
}

struct Shape {
  int64_t n;
  int64_t k;
};
// The 0.1 B shape's gate and up, its head, and a layer of an 8 B model.
constexpr Shape kShapes[] = {{4096, 768}, {32000, 768}, {4096, 4096}};

void register_all() {
  const int64_t tables = static_cast<int64_t>(supported_kernels().size());
  for (int64_t table = 0; table < tables; ++table) {
    const bool best = table == 0;
    for (const Shape& shape : kShapes) {
      if (!best && shape.n != 4096) continue;
      for (const int64_t bf16 : {1, 0}) {
        for (const int64_t m : {1, 4, 16}) {
          if (!best && m != 1) continue;
          benchmark::RegisterBenchmark("decode", decode)
              ->Args({m, shape.n, shape.k, bf16, table})
              ->ArgNames({"M", "N", "K", "bf16", "kernels"})
              ->UseRealTime();
        }
        if (std::string(kernels_of(table).name) == "portable" && shape.k > 1000) continue;
        benchmark::RegisterBenchmark("prefill", prefill)
            ->Args({512, shape.n, shape.k, bf16, table})
            ->ArgNames({"M", "N", "K", "bf16", "kernels"})
            ->UseRealTime();
      }
    }
  }
  for (const Shape& shape : kShapes) {
    benchmark::RegisterBenchmark("prefill_onednn", prefill_onednn)
        ->Args({512, shape.n, shape.k})
        ->ArgNames({"M", "N", "K"})
        ->UseRealTime();
  }
}

}  // namespace
}  // namespace touchstone::bench

int main(int argc, char** argv) {
  touchstone::bench::register_all();
  return touchstone::bench::run_beside_ceilings(argc, argv);
}
