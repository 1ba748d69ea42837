#include "reference_engine/tokenizer/detokenizer.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "base/text.h"
#include "tests/support/paths.h"
#include "tests/tokenizer/small_tokenizer.h"

namespace touchstone::tokenizer {
namespace {

using Ids = std::vector<int32_t>;

class Detokenizing : public testing::Test {
 protected:
  Ids ids(const std::string& text) const {
    // One token a byte, so that every cut happens.
    Ids result;
    for (const char c : text)
      result.push_back(*tokenizer_->token_id(spell_byte(static_cast<uint8_t>(c))));
    return result;
  }
  std::unique_ptr<Tokenizer> tokenizer_ = parse_small(small_tokenizer_json());
};

TEST_F(Detokenizing, NeverCutsACharacter) {
  Detokenizer detokenizer(*tokenizer_, {});
  std::vector<std::string> deltas;
  for (const int32_t id : ids("a\u20ac\U0001F600!")) {
    EXPECT_EQ(detokenizer.add(id), std::nullopt);
    deltas.push_back(detokenizer.take_delta());
  }
  detokenizer.finish();
  EXPECT_EQ(deltas,
            (std::vector<std::string>{"a", "", "", "\u20ac", "", "", "", "\U0001F600", "!"}));
  EXPECT_EQ(detokenizer.take_delta(), "");
  EXPECT_EQ(detokenizer.text(), "a\u20ac\U0001F600!");
}

TEST_F(Detokenizing, BrokenBytesBecomeReplacementsAndAnUnfinishedCharacterIsDropped) {
  Detokenizer detokenizer(*tokenizer_, {});
  for (const int32_t id : ids("\xFF"
                              "a\xE2\x82"
                              "b\xE2\x82"))
    (void)detokenizer.add(id);
  detokenizer.finish();
  EXPECT_EQ(detokenizer.text(),
            "\uFFFD"
            "a\uFFFD"
            "b");
}

TEST_F(Detokenizing, HoldsBackWhatAStopStringMayTake) {
  Detokenizer detokenizer(*tokenizer_, {.stop = {"lov\u00e9"}});
  std::string sent;
  for (const int32_t id : ids("my lo")) {
    EXPECT_EQ(detokenizer.add(id), std::nullopt);
    sent += detokenizer.take_delta();
  }
  EXPECT_EQ(sent, "my") << "three characters wait";
  std::optional<std::string> stop;
  for (const int32_t id : ids("v\u00e9")) stop = detokenizer.add(id);
  EXPECT_EQ(stop, "lov\u00e9");
  EXPECT_EQ(sent + detokenizer.take_delta(), "my ");
}

TEST_F(Detokenizing, StopStringsStayInTheTextWhenAskedFor) {
  Detokenizer detokenizer(*tokenizer_, {.stop = {"el"}, .include_stop_in_output = true});
  EXPECT_EQ(detokenizer.add(*tokenizer_->token_id("h")), std::nullopt);
  EXPECT_EQ(detokenizer.take_delta(), "h") << "nothing can be taken back";
  EXPECT_EQ(detokenizer.add(*tokenizer_->token_id("hello")), "el");
  EXPECT_EQ(detokenizer.text(), "hhel");
}

TEST_F(Detokenizing, StopStringsAreNotSoughtBeforeMinTokens) {
  Detokenizer detokenizer(*tokenizer_, {.stop = {"h"}, .min_tokens = 2});
  const int32_t h = *tokenizer_->token_id("h");
  EXPECT_EQ(detokenizer.add(h), std::nullopt);
  EXPECT_EQ(detokenizer.add(h), std::nullopt);
  EXPECT_EQ(detokenizer.add(h), "h");
  EXPECT_EQ(detokenizer.text(), "hh");
}

TEST_F(Detokenizing, TheFirstStopStringOfTheListWins) {
  Detokenizer detokenizer(*tokenizer_, {.stop = {"lo", "he"}});
  EXPECT_EQ(detokenizer.add(*tokenizer_->token_id("hello")), "lo");
  EXPECT_EQ(detokenizer.text(), "hel");
}

// A tokenizer with SentencePiece's spaces and bytes.
class Streaming : public testing::Test {
 protected:
  Ids ids(const std::vector<std::string>& spellings) const {
    Ids result;
    for (const std::string& spelling : spellings) {
      const auto id = tokenizer_->token_id(spelling);
      EXPECT_TRUE(id.has_value()) << spelling;
      result.push_back(id.value_or(0));
    }
    return result;
  }
  std::vector<std::string> deltas(const Ids& tokens, const DetokenizerOptions& options) const {
    Detokenizer detokenizer(*tokenizer_, options);
    std::vector<std::string> result;
    for (const int32_t id : tokens) {
      EXPECT_EQ(detokenizer.add(id), std::nullopt);
      result.push_back(detokenizer.take_delta());
    }
    return result;
  }
  std::unique_ptr<Tokenizer> tokenizer_ =
      std::move(Tokenizer::load(support::source_dir() + "/fixtures/tokenizers/llama2")).value();
};

TEST_F(Streaming, TheFirstSpaceGoesOnlyWhereNothingPrecedes) {
  const Ids words = ids({"\u2581", "\u2581the", "n"});
  EXPECT_EQ(deltas(words, {}), (std::vector<std::string>{"", " the", "n"}));
  EXPECT_EQ(deltas(words, {.after_text = true}), (std::vector<std::string>{" ", " the", "n"}));
  EXPECT_EQ(tokenizer_->decode(words, true), " then");
  EXPECT_FALSE(shows_text(*tokenizer_, ids({"<s>"}), true)) << "a special token shows nothing";
  EXPECT_TRUE(shows_text(*tokenizer_, ids({"<s>"}), false));
  EXPECT_TRUE(shows_text(*tokenizer_, ids({"<s>", "\u2581the"}), true));
}

TEST_F(Streaming, BytesWrittenAsTokensJoinToCharacters) {
  EXPECT_EQ(deltas(ids({"n", "<0xE2>", "<0x82>", "<0xAC>", "n"}), {}),
            (std::vector<std::string>{"n", "", "", "\u20ac", "n"}));
  const Ids broken = ids({"<0xE2>", "<0x82>", "n", "<0xFF>", "<0xE2>"});
  EXPECT_EQ(deltas(broken, {}), (std::vector<std::string>{"", "", "\uFFFD\uFFFDn", "\uFFFD", ""}))
      << "one for each byte";
  EXPECT_EQ(tokenizer_->decode(broken, true), "\uFFFD\uFFFDn\uFFFD\uFFFD");
}

TEST_F(Streaming, AnyTextStreamsToWhatDecodeGives) {
  for (const std::string text : {"", " ", "  two  spaces ", "caf\u00e9 \u65e5\u672c\U0001F600\n"}) {
    const auto tokens = tokenizer_->encode(text, false);
    std::string streamed;
    for (const std::string& delta : deltas(tokens, {})) streamed += delta;
    EXPECT_EQ(streamed, text);
    EXPECT_EQ(tokenizer_->decode(tokens, false), text);
  }
}

// What was streamed is the text, is UTF-8 at every moment, and ends where the stop string begins.
RC_GTEST_FIXTURE_PROP(Detokenizing, DeltasJoinToTheText, ()) {
  const auto alphabet = std::string("ab\xC3\xA9\xE2\x82\xAC");
  const auto tokens = *rc::gen::container<std::string>(rc::gen::elementOf(alphabet));
  const auto stop = *rc::gen::container<std::string>(*rc::gen::inRange<size_t>(1, 4),
                                                     rc::gen::elementOf(std::string("ab")));
  const bool include = *rc::gen::arbitrary<bool>();
  Detokenizer detokenizer(*tokenizer_, {.stop = {stop}, .include_stop_in_output = include});
  std::string sent;
  bool stopped = false;
  for (const int32_t id : ids(tokens)) {
    stopped = detokenizer.add(id).has_value();
    const std::string delta = detokenizer.take_delta();
    RC_ASSERT(is_valid_utf8(delta));
    sent += delta;
    if (stopped) break;
  }
  detokenizer.finish();
  sent += detokenizer.take_delta();
  RC_ASSERT(sent == detokenizer.text());
  const size_t found = sent.find(stop);
  RC_ASSERT((found != std::string::npos) == (stopped && include));
  if (stopped && include) RC_ASSERT(found + stop.size() == sent.size());
}

}  // namespace
}  // namespace touchstone::tokenizer
