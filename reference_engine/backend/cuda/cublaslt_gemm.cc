#include "reference_engine/backend/cuda/cublaslt_gemm.h"

#include <cublasLt.h>

#include <array>
#include <string>
#include <type_traits>
#include <vector>

namespace touchstone::backend::cuda {
namespace {

Error cublas_error(const char* call, cublasStatus_t code) {
  return unavailable(std::string("cuBLASLt: ") + call + ": " + cublasLtGetStatusName(code));
}

#define RETURN_IF_CUBLAS_FAILS(call)                                                         \
  do {                                                                                       \
    const cublasStatus_t return_if_code = (call);                                            \
    if (return_if_code != CUBLAS_STATUS_SUCCESS) return cublas_error(#call, return_if_code); \
  } while (false)

/// Owner of one of the library's descriptors.
template <typename T, cublasStatus_t (*Destroy)(T)>
struct Destroyer {
  using pointer = T;
  void operator()(T handle) const { (void)Destroy(handle); }
};
template <typename T, cublasStatus_t (*Destroy)(T)>
using Owned = std::unique_ptr<std::remove_pointer_t<T>, Destroyer<T, Destroy>>;
using Handle = Owned<cublasLtHandle_t, cublasLtDestroy>;
using Operation = Owned<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy>;
using Layout = Owned<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;
using Preference = Owned<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy>;

cudaDataType_t type_of(Element element) {
  switch (element) {
    case Element::kFloat32:
      return CUDA_R_32F;
    case Element::kBFloat16:
      return CUDA_R_16BF;
    case Element::kFloat16:
      return CUDA_R_16F;
  }
  return CUDA_R_32F;
}

/// (rows, stride) row-major is (stride, rows) column-major to the library.
Result<Layout> make_layout(Element element, int64_t width, int64_t rows, int64_t stride) {
  cublasLtMatrixLayout_t layout = nullptr;
  RETURN_IF_CUBLAS_FAILS(cublasLtMatrixLayoutCreate(&layout, type_of(element),
                                                    static_cast<uint64_t>(width),
                                                    static_cast<uint64_t>(rows), stride));
  return Layout(layout);
}

template <typename T>
cublasStatus_t set(cublasLtMatmulDesc_t operation, cublasLtMatmulDescAttributes_t what, T value) {
  return cublasLtMatmulDescSetAttribute(operation, what, &value, sizeof(value));
}

/// f32 sums: in particular no TF32 for f32 inputs.
Result<Operation> make_operation(const GemmWeights& weights) {
  cublasLtMatmulDesc_t made = nullptr;
  RETURN_IF_CUBLAS_FAILS(cublasLtMatmulDescCreate(&made, CUBLAS_COMPUTE_32F, CUDA_R_32F));
  Operation operation(made);
  RETURN_IF_CUBLAS_FAILS(set(made, CUBLASLT_MATMUL_DESC_TRANSA, CUBLAS_OP_T));
  if (weights.bias != nullptr) {
    RETURN_IF_CUBLAS_FAILS(set(made, CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS));
    RETURN_IF_CUBLAS_FAILS(set(made, CUBLASLT_MATMUL_DESC_BIAS_POINTER, weights.bias));
    RETURN_IF_CUBLAS_FAILS(
        set(made, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, type_of(weights.element)));
  }
  return operation;
}

/// No workspace and no reduction between parts of a sum.
Result<Preference> make_preference() {
  cublasLtMatmulPreference_t made = nullptr;
  RETURN_IF_CUBLAS_FAILS(cublasLtMatmulPreferenceCreate(&made));
  Preference preference(made);
  const uint64_t workspace = 0;
  const uint32_t reductions = CUBLASLT_REDUCTION_SCHEME_NONE;
  RETURN_IF_CUBLAS_FAILS(cublasLtMatmulPreferenceSetAttribute(
      made, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace, sizeof(workspace)));
  RETURN_IF_CUBLAS_FAILS(cublasLtMatmulPreferenceSetAttribute(
      made, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &reductions, sizeof(reductions)));
  return preference;
}

bool splits_sums(const cublasLtMatmulAlgo_t& algorithm) {
  int32_t parts = 0;
  size_t written = 0;
  const cublasStatus_t known = cublasLtMatmulAlgoConfigGetAttribute(
      &algorithm, CUBLASLT_ALGO_CONFIG_SPLITK_NUM, &parts, sizeof(parts), &written);
  return known != CUBLAS_STATUS_SUCCESS || parts > 1 || parts < 0;
}

class CublasLtGemm final : public Gemm {
 public:
  CublasLtGemm(Device& device, Handle handle) : device_(device), handle_(std::move(handle)) {}
  const char* name() const override { return "cublaslt"; }
  Result<int32_t> add(const GemmWeights& weights) override;
  Status run(int32_t weights, const GemmRows& in, int64_t rows, const GemmRows& out) override;

 private:
  struct Prepared {
    GemmWeights weights;
    Operation operation;
    Layout matrix;
    cublasLtMatmulAlgo_t algorithm;
  };
  Status multiply(const Prepared& with, const GemmRows& in, int64_t rows, const GemmRows& out,
                  Stream stream) const;

  Device& device_;
  Handle handle_;
  std::vector<Prepared> prepared_;
};

Result<int32_t> CublasLtGemm::add(const GemmWeights& weights) {
  auto operation = make_operation(weights);
  if (!operation) return std::move(operation).error();
  auto matrix = make_layout(weights.element, weights.depth, weights.columns, weights.stride);
  if (!matrix) return std::move(matrix).error();
  // Strides of activations follow the widths, as the engine's buffers have them.
  const auto padded = [](int64_t width) { return (width + 7) / 8 * 8; };
  auto in = make_layout(weights.element, weights.depth, kRowTile, padded(weights.depth));
  if (!in) return std::move(in).error();
  auto out = make_layout(weights.element, weights.columns, kRowTile, padded(weights.columns));
  if (!out) return std::move(out).error();
  auto preference = make_preference();
  if (!preference) return std::move(preference).error();
  constexpr int kCandidates = 16;
  std::array<cublasLtMatmulHeuristicResult_t, kCandidates> found = {};
  int count = 0;
  RETURN_IF_CUBLAS_FAILS(cublasLtMatmulAlgoGetHeuristic(
      handle_.get(), operation->get(), matrix->get(), in->get(), out->get(), out->get(),
      preference->get(), kCandidates, found.data(), &count));
  for (int i = 0; i < count; ++i) {
    const cublasLtMatmulHeuristicResult_t& one = found[static_cast<size_t>(i)];
    if (one.state != CUBLAS_STATUS_SUCCESS || splits_sums(one.algo)) continue;
    prepared_.push_back({weights, *std::move(operation), *std::move(matrix), one.algo});
    return static_cast<int32_t>(prepared_.size()) - 1;
  }
  return Error{ErrorCode::kUnsupported,
               "cuBLASLt: a product with " + std::to_string(weights.columns) + " x " +
                   std::to_string(weights.depth) + " weights: got " + std::to_string(count) +
                   " algorithms, expected one that splits no sum",
               "--gemm kernels uses the engine's own"};
}

Status CublasLtGemm::multiply(const Prepared& with, const GemmRows& in, int64_t rows,
                              const GemmRows& out, Stream stream) const {
  const GemmWeights& weights = with.weights;
  const int64_t padded = padded_rows(rows);
  auto in_layout = make_layout(weights.element, weights.depth, padded, in.stride);
  if (!in_layout) return std::move(in_layout).error();
  auto out_layout = make_layout(weights.element, weights.columns, padded, out.stride);
  if (!out_layout) return std::move(out_layout).error();
  const float one = 1;
  const float zero = 0;
  RETURN_IF_CUBLAS_FAILS(cublasLtMatmul(
      handle_.get(), with.operation.get(), &one, weights.matrix, with.matrix.get(), in.data,
      in_layout->get(), &zero, out.data, out_layout->get(), out.data, out_layout->get(),
      &with.algorithm, nullptr, 0, static_cast<cudaStream_t>(stream)));
  return {};
}

Status CublasLtGemm::run(int32_t weights, const GemmRows& in, int64_t rows, const GemmRows& out) {
  const Prepared& with = prepared_.at(static_cast<size_t>(weights));
  return device_.enqueue([this, &with, in, rows, out](Stream stream) {
    return multiply(with, in, rows, out, stream);
  });
}

}  // namespace

Result<std::unique_ptr<Gemm>> cublaslt_gemm(Device& device) {
  cublasLtHandle_t made = nullptr;
  RETURN_IF_CUBLAS_FAILS(cublasLtCreate(&made));
  return std::unique_ptr<Gemm>(std::make_unique<CublasLtGemm>(device, Handle(made)));
}

}  // namespace touchstone::backend::cuda
