// Our tokenizer against Hugging Face's: recorded ids, texts, chat renderings, and the digest of the
// ids of 100,000 generated Unicode texts. The goldens' rules are in fixtures/models/README.md.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/ids.h"
#include "base/sha256.h"
#include "reference_engine/chat_template/chat_template.h"
#include "reference_engine/tokenizer/tokenizer.h"
#include "tests/support/paths.h"
#include "tests/tokenizer/generated_texts.h"

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

std::string finish(Sha256& digest) {
  const Sha256Digest bytes = digest.finish();
  return to_hex(bytes.data(), bytes.size());
}

TEST_P(Golden, A100000GeneratedTextsHaveTheRecordedDigest) {
  const json golden = read_golden("tokenizer_digest.json");
  const json& expected = golden["models"][GetParam()];
  GeneratedTexts texts(golden);
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
