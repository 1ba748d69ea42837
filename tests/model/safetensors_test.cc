#include "reference_engine/model/safetensors.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "base/files.h"
#include "reference_engine/model/loaded_model.h"
#include "reference_engine/model/weight_files.h"
#include "tests/support/paths.h"

namespace touchstone::model {
namespace {

std::string file_image(const std::string& header, size_t data_bytes) {
  std::string image(8, '\0');
  for (size_t i = 0; i < 8; ++i) image[i] = static_cast<char>((header.size() >> (8 * i)) & 0xFF);
  return image + header + std::string(data_bytes, '\x01');
}

Result<TensorMap> parse(const std::string& image) {
  return parse_safetensors("x.safetensors", std::as_bytes(std::span(image)));
}

constexpr const char* kTwoTensors = R"({"__metadata__":{"format":"pt"},)"
                                    R"("a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
                                    R"("b":{"dtype":"BF16","shape":[4],"data_offsets":[24,32]}})";

TEST(Safetensors, ReadsTensorsWhereTheyLie) {
  const std::string image = file_image(kTwoTensors, 32);
  const auto tensors = parse(image);
  ASSERT_TRUE(tensors.has_value()) << tensors.error().message;
  ASSERT_EQ(tensors->size(), 2U);
  EXPECT_EQ(tensors->at("a").shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(tensors->at("a").dtype, DType::kFloat32);
  EXPECT_EQ(tensors->at("b").dtype, DType::kBFloat16);
  EXPECT_EQ(reinterpret_cast<const char*>(tensors->at("b").bytes.data()),
            image.data() + image.size() - 8);
}

TEST(Safetensors, EveryTruncationAndEveryExtraByteIsAnError) {
  const std::string image = file_image(kTwoTensors, 32);
  for (size_t length = 0; length < image.size(); ++length) {
    EXPECT_FALSE(parse(image.substr(0, length)).has_value()) << length;
  }
  EXPECT_FALSE(parse(image + "x").has_value());
}

struct BadHeader {
  const char* header;
  const char* message_part;
};

TEST(Safetensors, BadHeadersAreNamed) {
  const BadHeader rows[] = {
      {R"([1])", "JSON object"},
      {R"({"a":)", "JSON object"},
      {R"({"a":5})", "expected an object"},
      {R"({"a":{"shape":[8],"data_offsets":[0,32]}})", "dtype"},
      {R"({"a":{"dtype":"F32","data_offsets":[0,32]}})", "shape"},
      {R"({"a":{"dtype":"F32","shape":[-8],"data_offsets":[0,32]}})", "shape"},
      {R"({"a":{"dtype":"F32","shape":[8.0],"data_offsets":[0,32]}})", "shape"},
      {R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,32]}})", "shape"},
      // 2^30 * 2^9 * 2^25 elements: 0 in 64 bits.
      {R"({"a":{"dtype":"F32","shape":[8],"data_offsets":[0,32]},)"
       R"("b":{"dtype":"F32","shape":[1073741824,512,33554432],"data_offsets":[32,32]}})",
       "shape"},
      {R"({"a":{"dtype":"F32","shape":[8]}})", "data_offsets"},
      {R"({"a":{"dtype":"F32","shape":[8],"data_offsets":[0]}})", "data_offsets"},
      {R"({"a":{"dtype":"F32","shape":[8],"data_offsets":[32,0]}})", "data_offsets"},
      {R"({"a":{"dtype":"F32","shape":[9],"data_offsets":[0,36]}})", "inside the 32 bytes"},
      {R"({"a":{"dtype":"F32","shape":[7],"data_offsets":[0,32]}})", "expected 28"},
      {R"({"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}})", "expected 16 as the tensors"},
      {R"({"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]},)"
       R"("b":{"dtype":"F32","shape":[5],"data_offsets":[12,32]}})",
       "overlaps"},
      {R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,12]},)"
       R"("b":{"dtype":"F32","shape":[4],"data_offsets":[16,32]}})",
       "hole"},
      {R"({"a":{"dtype":"I8","shape":[32],"data_offsets":[0,32]}})", "I8"},
  };
  for (const BadHeader& row : rows) {
    const auto tensors = parse(file_image(row.header, 32));
    ASSERT_FALSE(tensors.has_value()) << row.header;
    EXPECT_NE(tensors.error().message.find(row.message_part), std::string::npos)
        << row.header << ": " << tensors.error().message;
    EXPECT_EQ(tensors.error().message.rfind("x.safetensors", 0), 0U);
  }
}

TEST(Numbers, HalvesWidenExactlyAndRoundToNearestEven) {
  EXPECT_EQ(f16_to_float(0x3C00), 1.0F);
  EXPECT_EQ(f16_to_float(0xC000), -2.0F);
  EXPECT_EQ(f16_to_float(0x0001), 0x1p-24F);
  EXPECT_EQ(f16_to_float(0x7BFF), 65504.0F);
  EXPECT_TRUE(std::isinf(f16_to_float(0x7C00)));
  EXPECT_TRUE(std::isnan(f16_to_float(0x7E00)));
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const float value = bf16_to_float(static_cast<uint16_t>(bits));
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(bf16_to_float(float_to_bf16(value))));
    } else {
      EXPECT_EQ(float_to_bf16(value), bits);
    }
  }
  EXPECT_EQ(float_to_bf16(1.0F + 0x1p-8F), 0x3F80);             // tie: to even, down
  EXPECT_EQ(float_to_bf16(1.0F + 0x1p-7F + 0x1p-8F), 0x3F82);   // tie: to even, up
  EXPECT_EQ(float_to_bf16(1.0F + 0x1p-8F + 0x1p-20F), 0x3F81);  // above the tie
}

std::string fixture_folder() { return support::source_dir() + "/fixtures/models/vllm-capture"; }

TEST(Numbers, TheFirstThatIsNotFiniteIsFoundWhereverItIs) {
  for (const DType dtype : {DType::kFloat32, DType::kBFloat16, DType::kFloat16}) {
    const auto size = static_cast<size_t>(size_of(dtype));
    // Sign, exponent of all ones, mantissa as the case may be; little-endian, the last two bytes.
    const uint16_t infinity = dtype == DType::kFloat16 ? 0x7C00 : 0x7F80;
    const uint16_t largest = dtype == DType::kFloat16 ? 0xFBFF : 0xFF7F;
    for (const size_t elements : {1U, 2U, 3U, 4U, 7U, 16U, 33U}) {
      for (size_t at = 0; at < elements; ++at) {
        std::vector<std::byte> bytes(elements * size, std::byte{0xFF});
        for (size_t i = 0; i < elements; ++i) {
          std::memcpy(bytes.data() + (i + 1) * size - 2, &largest, 2);
        }
        const Tensor tensor{.dtype = dtype,
                            .shape = {static_cast<int64_t>(elements)},
                            .bytes = std::span<const std::byte>(bytes)};
        EXPECT_EQ(first_not_finite(tensor), std::nullopt);
        std::memcpy(bytes.data() + (at + 1) * size - 2, &infinity, 2);
        EXPECT_EQ(first_not_finite(tensor), static_cast<int64_t>(at)) << elements;
      }
    }
  }
}

TEST(LoadModel, ReadsTheRecordedModel) {
  const auto model = load_model(fixture_folder());
  ASSERT_TRUE(model.has_value()) << model.error().message;
  EXPECT_EQ(model->config.num_layers, 4);
  EXPECT_EQ(model->weights.layers.size(), 4U);
  EXPECT_EQ(model->weights.lm_head.shape, (std::vector<int64_t>{2048, 128}));
}

/// The recorded model's folder as a copy that a test may damage.
class Damaged : public testing::Test {
 protected:
  void SetUp() override {
    auto folder = TemporaryDirectory::make("touchstone-model-test");
    ASSERT_TRUE(folder.has_value());
    folder_.emplace(*std::move(folder));
    config_ = *read_file(fixture_folder() + "/config.json");
    weights_ = *read_file(fixture_folder() + "/model.safetensors");
  }
  void write(const std::string& name, const std::string& content) {
    ASSERT_TRUE(write_file_atomic(folder_->path() + "/" + name, content).has_value());
  }
  std::string load_error() {
    const auto model = load_model(folder_->path());
    return model ? "" : model.error().message;
  }
  static std::string replaced(std::string text, const std::string& from, const std::string& to) {
    const size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return text.replace(at, from.size(), to);
  }
  std::optional<TemporaryDirectory> folder_;
  std::string config_;
  std::string weights_;
};

TEST_F(Damaged, MissingPartsAreNamed) {
  EXPECT_NE(load_error().find("config.json"), std::string::npos);
  write("config.json", config_);
  EXPECT_NE(load_error().find("model.safetensors"), std::string::npos);
  write("model.safetensors", weights_);
  EXPECT_EQ(load_error(), "");
  write("model.safetensors", weights_.substr(0, weights_.size() / 2));
  EXPECT_NE(load_error().find("model.safetensors"), std::string::npos);
}

TEST_F(Damaged, WeightsThatAreNoNumbersAreNamed) {
  write("config.json", config_);
  std::string weights = weights_;
  weights[weights.size() - 1] = '\x7F';
  weights[weights.size() - 2] = '\xC0';
  write("model.safetensors", weights);
  EXPECT_NE(load_error().find("got a NaN or an infinity, expected finite weights"),
            std::string::npos)
      << load_error();
}

TEST_F(Damaged, ConfigAndWeightsThatDoNotBelongTogetherAreNamed) {
  write("model.safetensors", weights_);
  write("config.json", replaced(config_, "\"num_hidden_layers\": 4", "\"num_hidden_layers\": 5"));
  EXPECT_NE(load_error().find("model.layers.4.input_layernorm.weight\" is missing"),
            std::string::npos)
      << load_error();
  write("config.json", replaced(config_, "\"num_hidden_layers\": 4", "\"num_hidden_layers\": 3"));
  EXPECT_NE(load_error().find("is not part of this architecture"), std::string::npos)
      << load_error();
  write("config.json",
        replaced(config_, "\"intermediate_size\": 352", "\"intermediate_size\": 353"));
  EXPECT_NE(load_error().find("got shape [352, 128], expected [353, 128]"), std::string::npos)
      << load_error();
  write("config.json", replaced(config_, "\"eos_token_id\": 1", "\"eos_token_id\": 2048"));
  EXPECT_NE(load_error().find("eos_token_id"), std::string::npos) << load_error();
}

TEST_F(Damaged, ShardsAreReadThroughTheirIndex) {
  const std::string a = file_image(R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4);
  const std::string b = file_image(R"({"y":{"dtype":"F16","shape":[2],"data_offsets":[0,4]}})", 4);
  write("a.safetensors", a);
  write("b.safetensors", b);
  const auto open = [&](const std::string& map) {
    write("model.safetensors.index.json", "{\"weight_map\":" + map + "}");
    return open_weights(folder_->path(), WeightFormat::kAny);
  };
  const auto good = open(R"({"x":"a.safetensors","y":"b.safetensors"})");
  ASSERT_TRUE(good.has_value()) << good.error().message;
  EXPECT_EQ(good->tensors.size(), 2U);
  EXPECT_EQ(good->tensors.at("y").dtype, DType::kFloat16);
  const std::vector<std::pair<std::string, std::string>> bad = {
      {R"({"x":"a.safetensors"})", ""},  // b is not opened: fine, one tensor less
      {R"({"x":"a.safetensors","z":"a.safetensors"})", "does not have this tensor"},
      {R"({"x":"c.safetensors"})", "c.safetensors"},
      {R"({"x":"../a.safetensors"})", "same folder"},
      {R"({"y":"a.safetensors"})", "does not have this tensor"},
      {R"([])", "weight_map"},
  };
  for (const auto& [map, part] : bad) {
    const auto result = open(map);
    if (part.empty()) {
      EXPECT_TRUE(result.has_value()) << map;
    } else {
      ASSERT_FALSE(result.has_value()) << map;
      EXPECT_NE(result.error().message.find(part), std::string::npos) << result.error().message;
    }
  }
  write("b.safetensors", a);
  const auto twice = open(R"({"x":"a.safetensors","y":"b.safetensors"})");
  ASSERT_FALSE(twice.has_value());
  EXPECT_NE(twice.error().message.find("another shard"), std::string::npos)
      << twice.error().message;
}

}  // namespace
}  // namespace touchstone::model
