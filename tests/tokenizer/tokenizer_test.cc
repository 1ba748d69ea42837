#include "reference_engine/tokenizer/tokenizer.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <thread>

#include "base/text.h"
#include "base/utf8.h"
#include "reference_engine/tokenizer/bpe.h"
#include "reference_engine/tokenizer/decoder.h"
#include "reference_engine/tokenizer/normalizer.h"
#include "reference_engine/tokenizer/pre_tokenizer.h"
#include "tests/support/paths.h"
#include "tests/tokenizer/small_tokenizer.h"

namespace touchstone::tokenizer {
namespace {

using nlohmann::json;
using Ids = std::vector<int32_t>;

json added(int id, const std::string& content, const json& flags = json::object()) {
  json token = {{"id", id},        {"content", content},  {"single_word", false}, {"lstrip", false},
                {"rstrip", false}, {"normalized", false}, {"special", true}};
  token.update(flags);
  return token;
}

TEST(Tokenizer, MergesByRankLeftmostFirst) {
  const auto tokenizer = parse_small(small_tokenizer_json());
  EXPECT_EQ(tokenizer->encode("hello", false), Ids{259});
  EXPECT_EQ(tokenizer->encode("hell", false), (Ids{257, 'l'}));
  EXPECT_EQ(tokenizer->encode("", true), Ids{});
  EXPECT_EQ(tokenizer->vocab_size(), 260);
  EXPECT_EQ(tokenizer->token_string(259), "hello");
  EXPECT_EQ(tokenizer->token_id("hel"), 257);
  EXPECT_EQ(tokenizer->token_bytes(-1), "");
  EXPECT_EQ(tokenizer->token_bytes(260), "");
}

TEST(Tokenizer, AddedTokensAreCutOutFirstWithTheirFlags) {
  json tree = small_tokenizer_json();
  tree["added_tokens"] = {added(300, "<a>"),
                          added(301, "<ab>"),
                          added(302, "<l>", {{"lstrip", true}}),
                          added(303, "<r>", {{"rstrip", true}}),
                          added(304, "word", {{"single_word", true}}),
                          added(305, "<a><ab>")};
  const auto tokenizer = parse_small(tree);
  const int h = *tokenizer->token_id("h");
  const int space = *tokenizer->token_id("Ġ");
  struct Case {
    const char* text;
    Ids ids;
  };
  for (const auto& [text, ids] : {Case{"<a>h", {300, h}},
                                  {"<a><ab>", {305}},  // the longest
                                  {"h  <l> h", {h, 302, space, h}},
                                  {"h <r>  h", {h, space, 303, h}},
                                  {"word", {304}},
                                  {"h word", {h, space, 304}},
                                  {"<a>word<a>", {300, 304, 300}}}) {
    EXPECT_EQ(tokenizer->encode(text, false), ids) << text;
  }
  EXPECT_EQ(tokenizer->encode("hword", false).size(), 5u) << "a part of a word is no single word";
  EXPECT_EQ(tokenizer->decode(Ids{300, h}, true), "h");
  EXPECT_EQ(tokenizer->decode(Ids{300, h}, false), "<a>h");
}

TEST(Tokenizer, NormalizesBeforeWordsButNotInsideRawAddedTokens) {
  json tree = small_tokenizer_json();
  tree["normalizer"] = {{"type", "NFC"}};
  const auto tokenizer = parse_small(tree);
  EXPECT_EQ(tokenizer->encode("e\u0301", false), tokenizer->encode("\u00e9", false));
  EXPECT_EQ(tokenizer->decode(tokenizer->encode("e\u0301", false), false), "\u00e9");
}

std::string normalized(const json& part, const std::string& text) {
  const auto normalizer = Normalizer::parse(Part(part, "normalizer"));
  BASE_CHECK(normalizer.has_value(), normalizer.error().message);
  return normalizer->normalize(text);
}

TEST(Tokenizer, NormalizersGiveWhatHuggingFaceGives) {
  const json nfc = {{"type", "NFC"}};
  const json nfkd = {{"type", "NFKD"}};
  const json strip = {{"type", "Strip"}, {"strip_left", true}, {"strip_right", false}};
  const json digits = {{"type", "Replace"}, {"pattern", {{"Regex", "[0-9]+"}}}, {"content", "#"}};
  const json both = {{"type", "Sequence"},
                     {"normalizers", {{{"type", "Lowercase"}}, {{"type", "StripAccents"}}}}};
  struct Case {
    json part;
    const char* text;
    const char* expected;
  };
  for (const auto& [part, text, expected] :
       {Case{nfc, "e\u0301", "\u00e9"},
        {nfc, "\uac00\u11a7", "\uac00\u11a7"},  // no jamo of a syllable
        {nfkd, "\ufb01\u00bd", "fi1\u20442"},
        {nfkd, "\u32ff", "\u32ff"},  // newer than its tables
        {nfc, "a\u0323\u1acf\u0301", "\u1ea1\u1acf\u0301"},
        {{{"type", "Lowercase"}}, "\u0130\u03a3\u00c9A", "i\u0307\u03c3\u00e9a"},
        {both, "\u00c9E\u0301", "\u00e9e"},
        {strip, " \u2003 a ", "a "},
        {digits, "12 a 3", "# a #"},
        {{{"type", "Prepend"}, {"prepend", "_"}}, "", ""},
        {{{"type", "Prepend"}, {"prepend", "_"}}, "a", "_a"}}) {
    EXPECT_EQ(normalized(part, text), expected) << part << " " << text;
  }
}

std::vector<std::string> words(const json& part, const std::string& text) {
  const auto pre_tokenizer = PreTokenizer::parse(Part(part, "pre_tokenizer"));
  BASE_CHECK(pre_tokenizer.has_value(), pre_tokenizer.error().message);
  std::vector<std::string> result;
  pre_tokenizer->split(text, PreTokenizer::Place::kBeginning,
                       [&](std::string_view word) { result.emplace_back(word); });
  return result;
}

// The rows are what pre_tokenize_str of tokenizers 0.23.3 gives.
TEST(Tokenizer, PreTokenizersCutAsHuggingFaceCuts) {
  const auto split = [](const char* behavior, bool invert) -> json {
    return {{"type", "Split"},
            {"pattern", {{"String", "-"}}},
            {"behavior", behavior},
            {"invert", invert}};
  };
  struct Case {
    json part;
    const char* text;
    std::vector<std::string> expected;
  };
  const char* const dashes = "the-final--countdown";
  for (const auto& [part, text, expected] : std::vector<Case>{
           {split("Removed", false), dashes, {"the", "final", "countdown"}},
           {split("Removed", true), dashes, {"-", "-", "-"}},
           {split("Isolated", false), dashes, {"the", "-", "final", "-", "-", "countdown"}},
           {split("MergedWithPrevious", false), dashes, {"the-", "final-", "-", "countdown"}},
           {split("MergedWithNext", false), dashes, {"the", "-final", "-", "-countdown"}},
           {split("Contiguous", false), dashes, {"the", "-", "final", "--", "countdown"}},
           {{{"type", "Digits"}, {"individual_digits", true}}, "a12b", {"a", "1", "2", "b"}},
           {{{"type", "Digits"}}, "a12\u00bdb", {"a", "12\u00bd", "b"}},
           {{{"type", "Whitespace"}}, "a_b, \u00e9!? c", {"a_b", ",", "\u00e9", "!?", "c"}},
           {{{"type", "WhitespaceSplit"}}, " a\u3000b  c", {"a", "b", "c"}},
           {{{"type", "Punctuation"}}, "a,b\u2014$", {"a", ",", "b", "\u2014", "$"}},
           {{{"type", "CharDelimiterSplit"}, {"delimiter", "."}}, "a..b", {"a", "b"}},
           {{{"type", "Metaspace"}, {"replacement", "\u2581"}},
            "a  b",
            {"\u2581a", "\u2581", "\u2581b"}},
           {{{"type", "Metaspace"}, {"replacement", "_"}, {"prepend_scheme", "never"}},
            "a b",
            {"a", "_b"}},
           {{{"type", "Metaspace"}, {"replacement", "_"}, {"split", false}}, " a b", {"_a_b"}},
       }) {
    EXPECT_EQ(words(part, text), expected) << part;
  }
}

std::string joined(const json& part, const std::vector<std::string>& spellings) {
  const auto decoder = Decoder::parse(Part(part, "decoder"));
  BASE_CHECK(decoder.has_value(), decoder.error().message);
  TextJoiner joiner(decoder->rules());
  for (const std::string& spelling : spellings) joiner.add(spelling, decoder->text_of(spelling));
  return joiner.finish();
}

TEST(Tokenizer, DecodersJoinAsHuggingFaceJoins) {
  const json metaspace = {{"type", "Metaspace"}, {"replacement", "_"}};
  const json bytes = {{"type", "ByteFallback"}};
  const json strip = {{"type", "Strip"}, {"content", "_"}, {"start", 1}, {"stop", 1}};
  EXPECT_EQ(joined(nullptr, {"a", "b"}), "a b");
  EXPECT_EQ(joined(metaspace, {"_a_b", "_c"}), "ab c");
  EXPECT_EQ(joined(bytes, {"<0xE2>", "<0x82>", "<0xAC>", "x"}), "\u20acx");
  EXPECT_EQ(joined(bytes, {"<0xE2>", "<0x82>", "<0xAC>", "<0xFF>"}), "\uFFFD\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(joined(strip, {"__a_", "_b"}), "_ab");
}

TEST(Tokenizer, WholeWordsWinWhenMergesAreIgnored) {
  json tree = small_tokenizer_json();
  tree["model"]["vocab"]["loll"] = 260;  // no merge leads there
  EXPECT_NE(parse_small(tree)->encode("loll", false), Ids{260});
  tree["model"]["ignore_merges"] = true;
  EXPECT_EQ(parse_small(tree)->encode("loll", false), Ids{260});
}

TEST(Tokenizer, IllFormedBytesBecomeReplacementCharacters) {
  const auto tokenizer = parse_small(small_tokenizer_json());
  EXPECT_EQ(tokenizer->encode("h\xE2\x82", false), tokenizer->encode("h\xEF\xBF\xBD", false));
  EXPECT_EQ(tokenizer->encode("\xFF\xFE", false), tokenizer->encode("\uFFFD\uFFFD", false));
}

TEST(Tokenizer, UnsupportedAndDamagedFilesAreRefusedByName) {
  struct Case {
    const char* pointer;
    json value;
    const char* message;
  };
  for (const auto& [pointer, value, message] : {
           Case{"/model/type", "Unigram", "model: got type \"Unigram\", expected \"BPE\""},
           {"/model/dropout", 0.1, "model.dropout: merges left out"},
           {"/model/continuing_subword_prefix", "##",
            "model.continuing_subword_prefix: a text that is not empty"},
           {"/model/vocab", json::array(), "model.vocab: expected an object"},
           {"/model/vocab/h", "x", "model.vocab: \"h\": expected an id"},
           {"/model/vocab/h", -5, "got id -5"},
           {"/model/merges/0", "h", "model.merges: got \"h\", expected two parts"},
           {"/model/merges/0", json::array({"h", "q"}), "merge 0: \"hq\" is not in the vocabulary"},
           {"/normalizer",
            {{"type", "Sequence"}, {"normalizers", {{{"type", "NFC"}}, {{"type", "Nmt"}}}}},
            "normalizer.normalizers[1]: type \"Nmt\""},
           {"/normalizer",
            {{"type", "Replace"}, {"pattern", {{"Regex", "x*"}}}, {"content", ""}},
            "may match the empty text"},
           {"/pre_tokenizer",
            {{"type", "UnicodeScripts"}},
            "pre_tokenizer: type \"UnicodeScripts\""},
           {"/pre_tokenizer", json::object(), "pre_tokenizer: expected an object with a type"},
           {"/pre_tokenizer",
            {{"type", "Split"}, {"pattern", {{"Regex", "[a[b]]"}}}},
            "a class inside a class"},
           {"/post_processor", {{"type", "Other"}}, "post_processor: type \"Other\""},
           {"/decoder",
            {{"type", "Sequence"}, {"decoders", {{{"type", "Fuse"}}, {{"type", "Replace"}}}}},
            "decoder.decoders[1]: \"Replace\" after Fuse"},
           {"/added_tokens", {{{"id", 1}}}, "added_tokens[0]: expected id and content"},
       }) {
    json tree = small_tokenizer_json();
    tree[json::json_pointer(pointer)] = value;
    const auto parsed = Tokenizer::parse(tree.dump());
    ASSERT_FALSE(parsed.has_value()) << pointer;
    EXPECT_NE(parsed.error().message.find(message), std::string::npos)
        << pointer << ": " << parsed.error().message;
  }
  EXPECT_FALSE(Tokenizer::parse("").has_value());
  EXPECT_FALSE(Tokenizer::parse("[]").has_value());
  const std::string whole = small_tokenizer_json().dump();
  for (size_t size = 0; size < whole.size(); size += 37) {
    EXPECT_FALSE(Tokenizer::parse(whole.substr(0, size)).has_value()) << size;
  }
  EXPECT_EQ(Tokenizer::load("/nonexistent").error().code, ErrorCode::kNotFound);
}

TEST(Tokenizer, ThreadsShareOneTokenizer) {
  const std::string folder = support::source_dir() + "/fixtures/models/vllm-capture";
  const auto tokenizer = std::move(Tokenizer::load(folder)).value();
  std::vector<std::string> texts;
  for (int i = 0; i < 400; ++i) texts.push_back("unwonted word" + std::to_string(i * i) + " again");
  std::vector<std::vector<Ids>> results(4);
  std::vector<std::thread> threads;
  for (auto& result : results) {
    threads.emplace_back([&] {
      for (const auto& text : texts) result.push_back(tokenizer->encode(text, false));
    });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& result : results) EXPECT_EQ(result, results[0]);
}

// Short and long words take different ways to the same merges.
RC_GTEST_PROP(Bpe, ALongWordMergesLikeItsRepeatedBestPair, ()) {
  Bpe bpe(BpeOptions{});
  for (int byte = 0; byte < 256; ++byte)
    bpe.add_token(std::string(1, static_cast<char>(byte)), byte);
  std::vector<std::string> tokens = {"a", "b", "c"};
  std::vector<std::pair<std::string, std::string>> merges;
  const int count = *rc::gen::inRange(0, 12);
  for (int i = 0; i < count; ++i) {
    const std::string left = *rc::gen::elementOf(tokens);
    const std::string right = *rc::gen::elementOf(tokens);
    if (std::find(tokens.begin(), tokens.end(), left + right) != tokens.end()) continue;
    tokens.push_back(left + right);
    bpe.add_token(left + right, 256 + i);
    merges.emplace_back(left, right);
    RC_ASSERT(bpe.add_merge(left, right).has_value());
  }
  RC_ASSERT(bpe.seal().has_value());
  const auto word = *rc::gen::container<std::string>(*rc::gen::inRange<size_t>(0, 120),
                                                     rc::gen::elementOf(std::string("abc")));
  std::vector<std::string> parts;
  for (const char c : word) parts.emplace_back(1, c);
  for (bool merged = true; merged;) {
    merged = false;
    for (const auto& [left, right] : merges) {
      for (size_t i = 0; i + 1 < parts.size() && !merged; ++i) {
        if (parts[i] == left && parts[i + 1] == right) {
          parts[i] += parts[i + 1];
          parts.erase(parts.begin() + static_cast<ptrdiff_t>(i) + 1);
          merged = true;
        }
      }
      if (merged) break;
    }
  }
  Ids ids;
  bpe.encode(word, ids);
  RC_ASSERT(ids.size() == parts.size());
}

RC_GTEST_PROP(Tokenizer, DecodingWhatWasEncodedGivesTheText, ()) {
  static const auto tokenizer =
      std::move(Tokenizer::load(support::source_dir() + "/fixtures/models/touchstone-tiny"))
          .value();
  const auto bytes = *rc::gen::arbitrary<std::string>();
  std::string text;
  append_lossy(bytes, text);
  RC_ASSERT(is_valid_utf8(text));
  RC_ASSERT(tokenizer->decode(tokenizer->encode(bytes, false), false) == text);
}

}  // namespace
}  // namespace touchstone::tokenizer
