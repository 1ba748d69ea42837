#include "tests/cuda/plain_gemm.h"

#include <cmath>
#include <vector>

#include "reference_engine/backend/cuda/elements.h"

namespace touchstone::backend::cuda {
namespace {

std::vector<float> read(Element element, const void* from, int64_t first, int64_t count) {
  const model::Tensor tensor{
      .dtype = dtype_of(element),
      .shape = {count},
      .bytes = {static_cast<const std::byte*>(from) + first * element_bytes(element),
                static_cast<size_t>(count * element_bytes(element))}};
  std::vector<float> values(static_cast<size_t>(count));
  model::read_floats(tensor, 0, values);
  return values;
}

void multiply(const GemmWeights& with, const GemmRows& in, int64_t rows, const GemmRows& out) {
  std::vector<std::vector<float>> inputs;
  for (int64_t row = 0; row < rows; ++row) {
    inputs.push_back(read(with.element, in.data, row * in.stride, with.depth));
  }
  for (int64_t column = 0; column < with.columns; ++column) {
    const std::vector<float> weights =
        read(with.element, with.matrix, column * with.stride, with.depth);
    const float bias =
        with.bias == nullptr ? 0.0F : read(with.element, with.bias, column, 1).front();
    for (int64_t row = 0; row < rows; ++row) {
      const std::vector<float>& input = inputs[static_cast<size_t>(row)];
      float sum = 0;
      for (size_t k = 0; k < weights.size(); ++k) sum = std::fma(input[k], weights[k], sum);
      if (with.bias != nullptr) sum += bias;
      write_elements(with.element, std::span(&sum, 1),
                     static_cast<std::byte*>(out.data) +
                         (row * out.stride + column) * element_bytes(with.element));
    }
  }
}

class PlainGemm final : public Gemm {
 public:
  explicit PlainGemm(Device& device) : device_(device) {}
  const char* name() const override { return "plain"; }

  Result<int32_t> add(const GemmWeights& weights) override {
    weights_.push_back(weights);
    return static_cast<int32_t>(weights_.size()) - 1;
  }

  Status run(int32_t weights, const GemmRows& in, int64_t rows, const GemmRows& out) override {
    const GemmWeights with = weights_.at(static_cast<size_t>(weights));
    return device_.enqueue([=](Stream) -> Status {
      multiply(with, in, rows, out);
      return {};
    });
  }

 private:
  Device& device_;
  std::vector<GemmWeights> weights_;
};

}  // namespace

std::unique_ptr<Gemm> plain_gemm(Device& device) { return std::make_unique<PlainGemm>(device); }

}  // namespace touchstone::backend::cuda
