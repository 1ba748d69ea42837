// pytorch_model.bin: what torch.save() wrote reads as the same tensors, and nothing else does.
#include "reference_engine/model/pytorch_bin.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "base/files.h"
#include "base/random.h"
#include "tests/support/paths.h"

namespace touchstone::model {
namespace {

using ::testing::HasSubstr;

std::string file(const std::string& name) {
  const auto text = read_file(support::source_dir() + "/fixtures/models/" + name);
  EXPECT_TRUE(text) << name;
  return text ? *text : std::string();
}

Result<TensorMap> parse(const std::string& image) {
  return parse_pytorch_bin("x.bin", std::as_bytes(std::span(image)));
}

std::vector<float> floats(const Tensor& tensor) {
  std::vector<float> values(static_cast<size_t>(tensor.elements()));
  read_floats(tensor, 0, values);
  return values;
}

TEST(PytorchBin, TensorsAreThoseOfTheSafetensorsFile) {
  const std::string source = file("opt-micro/model.safetensors");
  const auto expected = parse_safetensors("source", std::as_bytes(std::span(source)));
  ASSERT_TRUE(expected);
  for (const auto& [name, dtype] :
       {std::pair("bfloat16", DType::kBFloat16), std::pair("float16", DType::kFloat16)}) {
    const std::string image = file("pytorch-bin/" + std::string(name) + ".bin");
    const auto tensors = parse(image);
    ASSERT_TRUE(tensors) << tensors.error().message;
    EXPECT_GT(tensors->size(), 8u);
    for (const auto& [key, tensor] : *tensors) {
      const Tensor& other = expected->at(key);
      EXPECT_EQ(tensor.dtype, dtype);
      EXPECT_EQ(tensor.shape, other.shape) << key;
      const std::vector<float> got = floats(tensor);
      const std::vector<float> wanted = floats(other);
      for (size_t i = 0; i < got.size(); ++i) {
        ASSERT_NEAR(got[i], wanted[i], std::abs(wanted[i]) * 0x1p-10 + 1e-7) << key;
      }
      if (dtype == DType::kBFloat16) {
        EXPECT_EQ(got, wanted) << key;
      }
    }
  }
}

TEST(PytorchBin, StoragesMayBeSharedAndOtherThingsStandBeside) {
  const std::string image = file("pytorch-bin/float32.bin");
  const auto tensors = parse(image);
  ASSERT_TRUE(tensors) << tensors.error().message;
  EXPECT_EQ(floats(tensors->at("head")), (std::vector<float>{0, 1, 2, 3}));
  EXPECT_EQ(tensors->at("tail").shape, (std::vector<int64_t>{2, 4}));
  EXPECT_EQ(floats(tensors->at("tail"))[7], 11.0F);
  EXPECT_EQ(floats(tensors->at("parameter")), (std::vector<float>{1, 1, 1}));
  EXPECT_EQ(tensors->at("inner.weight").shape, (std::vector<int64_t>{1, 2}));
  EXPECT_FALSE(tensors->contains("step"));
}

TEST(PytorchBin, WhatIsNoTensorIsRefusedByName) {
  const auto code = parse(file("pytorch-bin/code.bin"));
  ASSERT_FALSE(code);
  EXPECT_EQ(code.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(code.error().message, HasSubstr("system"));
  const auto transposed = parse(file("pytorch-bin/transposed.bin"));
  ASSERT_FALSE(transposed);
  EXPECT_THAT(transposed.error().message, HasSubstr("does not lie row by row"));
  EXPECT_THAT(parse("\x80\x02}q\x01.").error().message, HasSubstr("zip"));
}

TEST(PytorchBin, EveryTruncationAndManyDamagesAreErrorsOrTensorsWithinTheFile) {
  const std::string image = file("pytorch-bin/float32.bin");
  for (size_t size = 0; size < image.size(); ++size) {
    EXPECT_FALSE(parse(image.substr(0, size))) << size;
  }
  RandomStream random(11, "damages");
  for (int i = 0; i < 3000; ++i) {
    std::string damaged = image;
    damaged[random.next() % damaged.size()] = static_cast<char>(random.next());
    const auto tensors = parse(damaged);
    if (!tensors) continue;
    for (const auto& [name, tensor] : *tensors) (void)floats(tensor);
  }
}

}  // namespace
}  // namespace touchstone::model
