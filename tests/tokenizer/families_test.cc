// The tokenizers of the named families' kinds against Hugging Face's: the ids of generated texts,
// and the texts of ids that belong to no text, as digests. Made by fixtures/tokenizers/make.py.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/ids.h"
#include "base/sha256.h"
#include "reference_engine/tokenizer/tokenizer.h"
#include "tests/support/paths.h"
#include "tests/tokenizer/generated_texts.h"

namespace touchstone::tokenizer {
namespace {

using nlohmann::json;

const std::string kFolder = support::source_dir() + "/fixtures/tokenizers/";

json read_digests() {
  const auto text = read_file(kFolder + "digests.json");
  BASE_CHECK(text.has_value(), text.error().message);
  return json::parse(*text);
}

std::string framed(const std::string& text) {
  return little_endian(static_cast<uint32_t>(text.size())) + text;
}

std::string hex(Sha256& digest) {
  const Sha256Digest bytes = digest.finish();
  return to_hex(bytes.data(), bytes.size());
}

class Families : public testing::TestWithParam<const char*> {};

TEST_P(Families, GeneratedTextsHaveTheRecordedIdsAndIdsTheRecordedTexts) {
  static const json golden = read_digests();
  const auto tokenizer = Tokenizer::load(kFolder + GetParam());
  ASSERT_TRUE(tokenizer.has_value()) << tokenizer.error().message;
  const int32_t size = (*tokenizer)->vocab_size();
  GeneratedTexts texts(golden);
  Sha256 id_digest;
  Sha256 text_digest;
  for (int64_t i = 0; i < TOUCHSTONE_GENERATED_TEXTS; ++i) {
    const std::string text = texts.next();
    if (i < std::ssize(golden["first_texts"])) {
      ASSERT_EQ(text, golden["first_texts"][static_cast<size_t>(i)]) << "the generator differs";
    }
    auto ids = (*tokenizer)->encode(text, true);
    std::string bytes = little_endian(static_cast<uint32_t>(ids.size()));
    for (const int32_t id : ids) bytes += little_endian(static_cast<uint32_t>(id));
    id_digest.update(bytes);
    for (size_t at = 0; at < ids.size(); at += 4) {
      ids[at] = static_cast<int32_t>((ids[at] + 7 * static_cast<int64_t>(at)) % size);
    }
    text_digest.update(framed((*tokenizer)->decode(ids, true)));
    text_digest.update(framed((*tokenizer)->decode(ids, false)));
  }
  const json& expected = golden["families"][GetParam()][std::to_string(TOUCHSTONE_GENERATED_TEXTS)];
  EXPECT_EQ(hex(id_digest), expected["ids_sha256"]);
  EXPECT_EQ(hex(text_digest), expected["decoded_sha256"]);
}

INSTANTIATE_TEST_SUITE_P(All, Families,
                         testing::Values("opt", "llama2", "llama3", "mistral", "mistral-tekken",
                                         "qwen2"),
                         [](const auto& test) {
                           std::string name = test.param;
                           for (char& c : name) c = c == '-' ? '_' : c;
                           return name;
                         });

}  // namespace
}  // namespace touchstone::tokenizer
