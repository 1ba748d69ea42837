// LoRA adapters as PEFT writes them: what is read of a folder, and that nothing damaged, foreign or
// not implemented gets through. What they compute is in tests/backend.
#include "reference_engine/model/adapter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/random.h"
#include "reference_engine/model/adapter_config.h"
#include "reference_engine/model/loaded_model.h"
#include "tests/support/paths.h"

namespace touchstone::model {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

constexpr int32_t kMaxRank = 16;

std::string models() { return support::source_dir() + "/fixtures/models/"; }
const Config& llama() {
  static const Config kConfig = load_config(models() + "llama3-micro").value();
  return kConfig;
}

/// A copy of the fixture `llama3-patterns` that a test damages.
class AdapterFolder : public testing::Test {
 protected:
  AdapterFolder() : folder_(TemporaryDirectory::make("touchstone-adapter").value()) {
    for (const char* name : {"adapter_config.json", "adapter_model.safetensors"}) {
      write(name, read_file(models() + "adapters/llama3-patterns/" + name).value());
    }
  }
  std::string path(const std::string& name) const { return folder_.path() + "/" + name; }
  void write(const std::string& name, const std::string& content) {
    ASSERT_TRUE(write_file_atomic(path(name), content));
  }
  std::string weights() const { return read_file(path("adapter_model.safetensors")).value(); }
  /// Sets a key of adapter_config.json.
  void set(const std::string& key, const json& value) {
    json config = json::parse(read_file(path("adapter_config.json")).value());
    config[key] = value;
    write("adapter_config.json", config.dump());
  }
  Result<LoadedAdapter> load(int32_t max_rank = kMaxRank) const {
    return load_adapter(folder_.path(), llama(), max_rank);
  }
  /// The message of the refusal, and its code.
  std::pair<ErrorCode, std::string> refusal(int32_t max_rank = kMaxRank) const {
    const auto loaded = load(max_rank);
    if (loaded) return {ErrorCode::kCancelled, "it was loaded"};
    return {loaded.error().code, loaded.error().message};
  }

  const TemporaryDirectory folder_;
};

TEST_F(AdapterFolder, RanksAndScalesAreThoseOfTheConfiguration) {
  const auto loaded = load();
  ASSERT_TRUE(loaded) << loaded.error().message;
  ASSERT_EQ(loaded->layers.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    const AdapterLayer& layer = loaded->layers[i];
    EXPECT_FALSE(layer.k || layer.o || layer.up);
    const int64_t q_rank = i == 1 ? 3 : 8;
    EXPECT_EQ(layer.q.value().a.shape, (std::vector<int64_t>{q_rank, 72}));
    EXPECT_EQ(layer.q->b.shape, (std::vector<int64_t>{72, q_rank}));
    EXPECT_DOUBLE_EQ(layer.q->scale, 16.0 / static_cast<double>(q_rank));
    EXPECT_EQ(layer.v.value().b.shape, (std::vector<int64_t>{24, 8}));
    EXPECT_DOUBLE_EQ(layer.gate.value().scale, 5.0 / 8);
    EXPECT_EQ(layer.down.value().a.shape, (std::vector<int64_t>{2, 200}));
    EXPECT_DOUBLE_EQ(layer.down->scale, 8);
  }
  EXPECT_EQ(loaded->sha256.size(), 64u);
  EXPECT_EQ(loaded->sha256, load()->sha256);
  set("lora_alpha", 17);
  EXPECT_NE(loaded->sha256, load()->sha256);
}

TEST_F(AdapterFolder, TheRecordedOneAndRankStabilizedOnesLoad) {
  const Config recorded = load_config(models() + "vllm-capture").value();
  const auto small = load_adapter(models() + "adapters/vllm-capture", recorded, 8);
  ASSERT_TRUE(small) << small.error().message;
  EXPECT_DOUBLE_EQ(small->layers.front().q.value().scale, 2);
  const Config opt = load_config(models() + "opt-micro").value();
  const auto wide = load_adapter(models() + "adapters/opt-wide", opt, 5);
  ASSERT_TRUE(wide) << wide.error().message;
  EXPECT_DOUBLE_EQ(wide->layers.front().up.value().scale, 7 / std::sqrt(5.0));
  EXPECT_FALSE(wide->layers.front().gate);
}

TEST_F(AdapterFolder, WhatIsNotImplementedIsRefusedByTheNameOfItsKey) {
  const std::vector<std::pair<std::string, json>> rows = {
      {"use_dora", true},
      {"bias", "all"},
      {"lora_bias", true},
      {"use_qalora", true},
      {"peft_type", "IA3"},
      {"modules_to_save", {"lm_head"}},
      {"alora_invocation_tokens", {1, 2}},
      {"layer_replication", {{0, 1}}},
      {"use_bdlora", {{"nblocks", 2}}},
      {"trainable_token_indices", {3}},
      {"target_parameters", {"experts.gate_up_proj"}},
      {"init_lora_weights", "pissa"},
      {"rank_pattern", {{"layers\\.[01]\\..*", 4}}}};
  for (const auto& [key, value] : rows) {
    json config =
        json::parse(read_file(models() + "adapters/llama3-patterns/adapter_config.json").value());
    config[key] = value;
    write("adapter_config.json", config.dump());
    const auto [code, message] = refusal();
    EXPECT_EQ(code, ErrorCode::kUnsupported) << message;
    EXPECT_THAT(message, HasSubstr(key));
    EXPECT_THAT(message, HasSubstr("adapter_config.json"));
  }
  write("adapter_config.json",
        read_file(models() + "adapters/llama3-patterns/adapter_config.json").value());
  set("init_lora_weights", "gaussian");
  set("modules_to_save", json::array());
  set("target_modules", "all-linear");
  EXPECT_TRUE(load());
}

TEST_F(AdapterFolder, ARankBeyondTheLimitIsRefusedAsVllmSaysIt) {
  const auto [code, message] = refusal(4);
  EXPECT_EQ(code, ErrorCode::kUnsupported);
  EXPECT_THAT(message, HasSubstr("LoRA rank 8 is greater than max_lora_rank 4."));
}

TEST_F(AdapterFolder, FieldsThatAreMissingOrOfAnotherKindAreNamed) {
  const json good = json::parse(read_file(path("adapter_config.json")).value());
  for (const char* key : {"r", "lora_alpha", "target_modules"}) {
    json config = good;
    config.erase(key);
    write("adapter_config.json", config.dump());
    EXPECT_THAT(refusal().second, HasSubstr(key));
  }
  for (const auto& [key, value] :
       std::vector<std::pair<std::string, json>>{{"r", 0},
                                                 {"r", -1},
                                                 {"r", "eight"},
                                                 {"lora_alpha", "x"},
                                                 {"target_modules", 7},
                                                 {"rank_pattern", {{"q_proj", 0}}},
                                                 {"alpha_pattern", {{"q_proj", "x"}}}}) {
    json config = good;
    config[key] = value;
    write("adapter_config.json", config.dump());
    EXPECT_THAT(refusal().second, HasSubstr(key)) << value;
  }
  for (const char* text : {"", "{", "[]", "7", "\xff\xfe"}) {
    write("adapter_config.json", text);
    EXPECT_THAT(refusal().second, HasSubstr("adapter_config.json")) << text;
  }
}

TEST_F(AdapterFolder, ModulesAndShapesOfAnotherModelAreRefused) {
  const Config opt = load_config(models() + "opt-micro").value();
  const auto other = load_adapter(folder_.path(), opt, kMaxRank);
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(other.error().message, HasSubstr("model.layers.0."));
  EXPECT_THAT(other.error().hint, HasSubstr("q_proj, k_proj, v_proj, out_proj, fc1, fc2"));
  set("r", 7);
  EXPECT_THAT(refusal().second, HasSubstr("expected [7, 72]"));
  Config wider = llama();
  wider.hidden_size = 80;
  set("r", 8);
  const auto narrow = load_adapter(folder_.path(), wider, kMaxRank);
  ASSERT_FALSE(narrow);
  EXPECT_THAT(narrow.error().message, HasSubstr("got shape"));
}

TEST_F(AdapterFolder, NamesThatAreNoPairOfMatricesAreRefused) {
  const std::string good = weights();
  const auto renamed = [&](const std::string& from, const std::string& to) {
    BASE_CHECK(from.size() == to.size());
    std::string image = good;
    image.replace(image.find(from), from.size(), to);
    write("adapter_model.safetensors", image);
    return refusal();
  };
  const std::string name = "layers.0.self_attn.q_proj.lora_A.weight";
  EXPECT_THAT(renamed(name, "layers.0.self_attn.x_proj.lora_A.weight").second,
              HasSubstr("is no module that is adapted"));
  EXPECT_THAT(renamed(name, "layers.0.self_attn.q_proj.lora_C.weight").second,
              HasSubstr("lora_A.weight or lora_B.weight"));
  EXPECT_THAT(renamed(name, "layers.9.self_attn.q_proj.lora_A.weight").second,
              HasSubstr("layers.9.self_attn.q_proj"));
}

TEST_F(AdapterFolder, OneMatrixOfTwoIsRefused) {
  // The second matrix becomes a table that PEFT keeps beside a vocabulary, which is not read.
  std::string image = weights();
  const uint64_t header = [&] {
    uint64_t size = 0;
    std::memcpy(&size, image.data(), sizeof(size));
    return size;
  }();
  json tree = json::parse(image.substr(8, header));
  const std::string key = "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight";
  tree["base_model.model.model.embed_tokens.base_layer.weight"] = tree.at(key);
  tree.erase(key);
  const std::string text = tree.dump();
  std::string changed(8, '\0');
  const uint64_t size = text.size();
  std::memcpy(changed.data(), &size, sizeof(size));
  write("adapter_model.safetensors", changed + text + image.substr(8 + header));
  EXPECT_THAT(refusal().second,
              HasSubstr("\"model.layers.0.self_attn.q_proj\": lora_B.weight is missing"));
}

TEST_F(AdapterFolder, NotANumberIsRefusedWithItsTensor) {
  std::string image = weights();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::memcpy(image.data() + image.size() - sizeof(nan), &nan, sizeof(nan));
  write("adapter_model.safetensors", image);
  EXPECT_THAT(refusal().second, HasSubstr("NaN"));
  EXPECT_THAT(refusal().second, HasSubstr("lora_"));
}

TEST_F(AdapterFolder, EveryTruncationIsRefused) {
  const std::string good = weights();
  RandomStream random(5, "truncations");
  std::vector<size_t> lengths = {0, 1, 7, 8, 9, good.size() - 1, good.size() - 4};
  for (int i = 0; i < 60; ++i) lengths.push_back(random.below(good.size()));
  for (const size_t length : lengths) {
    write("adapter_model.safetensors", good.substr(0, length));
    const auto [code, message] = refusal();
    EXPECT_TRUE(code == ErrorCode::kMalformed || code == ErrorCode::kUnsupported)
        << length << ": " << message;
    EXPECT_THAT(message, HasSubstr("adapter_model.safetensors"));
  }
}

TEST_F(AdapterFolder, WhatIsNotThereIsSaidAndNoPipeIsWaitedFor) {
  std::filesystem::remove(path("adapter_model.safetensors"));
  EXPECT_THAT(refusal().second, HasSubstr("no adapter_model.safetensors and no adapter_model.bin"));
  std::filesystem::create_directory(path("adapter_model.safetensors"));
  EXPECT_THAT(refusal().second, HasSubstr("expected a file"));
  std::filesystem::remove(path("adapter_config.json"));
  EXPECT_EQ(refusal().first, ErrorCode::kNotFound);
  std::filesystem::create_symlink("/dev/zero", path("adapter_config.json"));
  EXPECT_THAT(refusal().second, HasSubstr("expected a file"));
  EXPECT_EQ(load_adapter("/nowhere", llama(), 8).error().code, ErrorCode::kNotFound);
}

TEST_F(AdapterFolder, AFileLargerThanAnyAdapterOfThisModelIsNotRead) {
  std::filesystem::resize_file(path("adapter_model.safetensors"), uint64_t{1} << 36);  // a hole
  EXPECT_THAT(refusal().second, HasSubstr("expected at most"));
}

TEST(AdapterConfig, PatternsMeanEndsOfNamesAfterADot) {
  const auto config =
      parse_adapter_config("x", R"({"r": 8, "lora_alpha": 4, "target_modules": ["q_proj"],
               "rank_pattern": {"q_proj": 2, "layers.1.mlp.up_proj": 3}})");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->shape_of("model.layers.0.self_attn.q_proj").rank, 2);
  EXPECT_EQ(config->shape_of("model.layers.0.self_attn.kq_proj").rank, 8);
  EXPECT_EQ(config->shape_of("model.layers.1.mlp.up_proj").rank, 3);
  EXPECT_EQ(config->shape_of("model.layers.11.mlp.up_proj").rank, 8);
  EXPECT_EQ(config->shape_of("q_proj").rank, 2);
  EXPECT_EQ(config->largest_rank(), 8);
  const auto both =
      parse_adapter_config("x", R"({"r": 8, "lora_alpha": 4, "target_modules": ["q_proj"],
               "rank_pattern": {"q_proj": 2, "self_attn.q_proj": 3}})");
  ASSERT_FALSE(both);
  EXPECT_THAT(both.error().message, HasSubstr("mean the same modules"));
}

}  // namespace
}  // namespace touchstone::model
