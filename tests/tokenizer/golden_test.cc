// Our tokenizer against Hugging Face's: recorded ids, texts, chat renderings, and the digest of the
// ids of 100,000 generated Unicode texts. The goldens' rules are in fixtures/models/README.md.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/ids.h"
#include "base/sha256.h"
#include "base/utf8.h"
#include "reference_engine/chat_template/chat_template.h"
#include "reference_engine/tokenizer/tokenizer.h"
#include "tests/support/paths.h"

namespace touchstone::tokenizer {
namespace {

using nlohmann::json;

const std::string kModels = support::source_dir() + "/fixtures/models/";

json read_golden(const std::string& name) {
  const auto text = read_file(kModels + "goldens/" + name);
  BASE_CHECK(text.has_value(), text.error().message);
  return json::parse(*text);
}

class Golden : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    auto loaded = Tokenizer::load(kModels + GetParam());
    ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
    tokenizer_ = std::move(*loaded);
  }
  std::unique_ptr<Tokenizer> tokenizer_;
};

TEST_P(Golden, TextsHaveTheRecordedIds) {
  int64_t lines = 0;
  const Status read = for_each_line(
      kModels + "goldens/tokenizer_" + GetParam() + ".jsonl",
      [&](int64_t line, std::string_view text) -> Status {
        const json golden = json::parse(text);
        const auto input = golden["text"].get<std::string>();
        const auto ids = tokenizer_->encode(input, false);
        EXPECT_EQ(ids, golden["ids"].get<std::vector<int32_t>>()) << line << ": " << input;
        EXPECT_EQ(tokenizer_->encode(input, true),
                  golden["ids_special"].get<std::vector<int32_t>>())
            << line;
        EXPECT_EQ(tokenizer_->decode(ids, true), golden["decoded"].get<std::string>()) << line;
        ++lines;
        return {};
      });
  ASSERT_TRUE(read.has_value()) << read.error().message;
  EXPECT_EQ(lines, 2000);
}

// The generator that fixtures/models/make_goldens.py describes in the golden's "rules".
class Texts {
 public:
  explicit Texts(const json& golden)
      : state_(golden["seed"].get<uint64_t>()),
        max_pieces_(golden["max_pieces"].get<uint64_t>()),
        ranges_(golden["ranges"].get<std::vector<std::pair<int32_t, int32_t>>>()),
        strings_(golden["strings"].get<std::vector<std::string>>()) {}

  std::string next() {
    std::string text;
    const uint64_t pieces = 1 + draw() % max_pieces_;
    for (uint64_t i = 0; i < pieces; ++i) {
      if (draw() % 4 < 3) {
        text += strings_[draw() % strings_.size()];
        continue;
      }
      const auto& [low, high] = ranges_[draw() % ranges_.size()];
      const uint64_t count = 1 + draw() % 6;
      for (uint64_t k = 0; k < count; ++k) {
        const auto offset = static_cast<int32_t>(draw() % static_cast<uint64_t>(high - low + 1));
        append_character(low + offset, text);
      }
    }
    return text;
  }

 private:
  uint64_t draw() {
    state_ += 0x9E3779B97F4A7C15u;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  uint64_t state_;
  uint64_t max_pieces_;
  std::vector<std::pair<int32_t, int32_t>> ranges_;
  std::vector<std::string> strings_;
};

std::string little_endian(uint32_t value) {
  std::string bytes;
  for (int shift = 0; shift < 32; shift += 8) bytes.push_back(static_cast<char>(value >> shift));
  return bytes;
}

std::string finish(Sha256& digest) {
  const Sha256Digest bytes = digest.finish();
  return to_hex(bytes.data(), bytes.size());
}

TEST_P(Golden, A100000GeneratedTextsHaveTheRecordedDigest) {
  const json golden = read_golden("tokenizer_digest.json");
  const json& expected = golden["models"][GetParam()];
  Texts texts(golden);
  Sha256 text_digest;
  Sha256 id_digest;
  int64_t total = 0;
  for (int64_t i = 0; i < golden["count"].get<int64_t>(); ++i) {
    const std::string text = texts.next();
    if (i < static_cast<int64_t>(golden["first_texts"].size())) {
      ASSERT_EQ(text, golden["first_texts"][static_cast<size_t>(i)]) << "the generator differs";
    }
    text_digest.update(little_endian(static_cast<uint32_t>(text.size())) + text);
    const auto ids = tokenizer_->encode(text, false);
    std::string bytes = little_endian(static_cast<uint32_t>(ids.size()));
    for (const int32_t id : ids) bytes += little_endian(static_cast<uint32_t>(id));
    id_digest.update(bytes);
    total += static_cast<int64_t>(ids.size());
  }
  EXPECT_EQ(finish(text_digest), golden["text_sha256"]);
  EXPECT_EQ(total, expected["ids_total"].get<int64_t>());
  EXPECT_EQ(finish(id_digest), expected["ids_sha256"]);
}

TEST_P(Golden, IdsDecodeToTheRecordedTexts) {
  const json golden = read_golden(std::string(GetParam()) + ".json");
  ASSERT_FALSE(golden["decodes"].empty());
  for (const json& each : golden["decodes"]) {
    EXPECT_EQ(
        tokenizer_->decode(each["ids"].get<std::vector<int32_t>>(), each["skip_special_tokens"]),
        each["text"].get<std::string>())
        << each["ids"];
  }
}

TEST_P(Golden, ChatsRenderAsRecorded) {
  const json golden = read_golden(std::string(GetParam()) + ".json");
  auto chat_template = chat_template::ChatTemplate::load(kModels + GetParam());
  ASSERT_TRUE(chat_template.has_value()) << chat_template.error().message;
  const auto config = read_file(kModels + GetParam() + "/tokenizer_config.json");
  ASSERT_TRUE(config.has_value());
  const json tokens = json::parse(*config);
  ASSERT_FALSE(golden["chat"].empty());
  for (const json& each : golden["chat"]) {
    const json context = {{"messages", each["messages"]},
                          {"add_generation_prompt", each["add_generation_prompt"]},
                          {"bos_token", tokens["bos_token"]},
                          {"eos_token", tokens["eos_token"]}};
    const auto text = (*chat_template)->render(context);
    ASSERT_TRUE(text.has_value()) << text.error().message;
    EXPECT_EQ(*text, each["text"].get<std::string>()) << each["name"];
    EXPECT_EQ(tokenizer_->encode(*text, false), each["ids"].get<std::vector<int32_t>>());
  }
}

INSTANTIATE_TEST_SUITE_P(Models, Golden, testing::Values("touchstone-tiny", "vllm-capture"),
                         [](const auto& test) {
                           std::string name = test.param;
                           name[name.find('-')] = '_';
                           return name;
                         });

}  // namespace
}  // namespace touchstone::tokenizer
