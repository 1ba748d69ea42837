// What a GPU can do at most, beside which the engine's figures stand: copying device memory, and
// cuBLASLt on a large product. Prints rows of a table.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "base/clock.h"
#include "reference_engine/backend/cuda/cublaslt_gemm.h"
#include "reference_engine/backend/cuda/device_memory.h"
#include "reference_engine/backend/cuda/runtime_device.h"

namespace touchstone::bench {
namespace {

using namespace backend::cuda;  // NOLINT: a benchmark of exactly that

template <typename T>
T must(Result<T> result) {
  if (!result) {
    std::fprintf(stderr, "bench_cuda_peaks: %s\n", result.error().message.c_str());
    std::exit(3);
  }
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

/// Nanoseconds of one of `count` calls that are enqueued together; the best of several rounds.
template <typename Enqueue>
double best_ns(Device& device, int count, const Enqueue& enqueue) {
  const RealClock clock;
  double best = 1e18;
  for (int round = 0; round < 6; ++round) {
    must(device.record(0));
    must(device.synchronize(0));
    const int64_t before_ns = clock.monotonic_ns();
    for (int i = 0; i < count; ++i) must(enqueue());
    must(device.record(0));
    must(device.synchronize(0));
    best = std::min(best, static_cast<double>(clock.monotonic_ns() - before_ns) / count);
  }
  return best;
}

void copy_bandwidth(Device& device) {
  constexpr int64_t kRows = 1 << 16;
  constexpr int64_t kWidth = 8192;
  const int64_t bytes = kRows * kWidth * 2;
  const auto from = must(DeviceBuffer::make(device, bytes, "source"));
  const auto to = must(DeviceBuffer::make(device, bytes, "target"));
  const auto staging = must(PinnedBuffer::make(device, 4 * kRows));
  std::vector<int32_t> rows(kRows);
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<int32_t>(i);
  const auto indices = must(DeviceBuffer::make(device, 4 * kRows, "rows"));
  must(upload(device, staging, std::as_bytes(std::span(rows)), indices.at()));
  must(device.fill_zero(from.at(), bytes));
  const GatherRows args{.element = Element::kBFloat16,
                        .rows = kRows,
                        .width = kWidth,
                        .indices = indices.at<int32_t>(),
                        .in = from.at(),
                        .in_stride = kWidth,
                        .out = to.at(),
                        .out_stride = kWidth};
  const double ns = best_ns(device, 20, [&] {
    return device.enqueue([args](Stream stream) -> Status {
      gather_rows(args, stream);
      return {};
    });
  });
  std::printf("| copying 1 GiB of device memory | %.0f GB/s read and written |\n",
              2.0 * static_cast<double>(bytes) / ns);
}

void product(Device& device, int64_t size) {
  const auto gemm = must(cublaslt_gemm(device));
  const int64_t bytes = size * size * 2;
  const auto in = must(DeviceBuffer::make(device, bytes, "input"));
  const auto matrix = must(DeviceBuffer::make(device, bytes, "weights"));
  const auto out = must(DeviceBuffer::make(device, bytes, "output"));
  for (const DeviceBuffer* buffer : {&in, &matrix}) must(device.fill_zero(buffer->at(), bytes));
  const int32_t weights = must(gemm->add({.element = Element::kBFloat16,
                                          .matrix = matrix.at(),
                                          .columns = size,
                                          .depth = size,
                                          .stride = size}));
  const double ns = best_ns(device, 10, [&] {
    return gemm->run(weights, {in.at(), size}, size, {out.at(), size});
  });
  std::printf("| cuBLASLt, bf16, %lld cubed, the engine's choice of algorithm | %.0f TFLOP/s |\n",
              static_cast<long long>(size),  // NOLINT: printf's type
              2.0 * static_cast<double>(size * size * size) / ns * 1e-3);
}

}  // namespace
}  // namespace touchstone::bench

int main() {
  using touchstone::bench::must;
  must(touchstone::backend::cuda::check_facts(must(touchstone::backend::cuda::query_device(0))));
  const auto device = must(touchstone::backend::cuda::open_device(0));
  std::printf("| | %s |\n|---|---|\n", device->facts().name.c_str());
  touchstone::bench::copy_bandwidth(*device);
  touchstone::bench::product(*device, 8192);
}
