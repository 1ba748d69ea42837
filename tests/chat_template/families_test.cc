// The templates of the named families' kinds as transformers renders them, with and without tools.
// Made by fixtures/templates/make_families.py.
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "reference_engine/chat_template/chat_template.h"
#include "tests/support/paths.h"

namespace touchstone::chat_template {
namespace {

using Json = nlohmann::ordered_json;

const std::string kFolder = support::source_dir() + "/fixtures/templates/";

TEST(Families, RenderAsTransformersRenders) {
  const auto text = read_file(kFolder + "families.json");
  ASSERT_TRUE(text.has_value()) << text.error().message;
  const Json golden = Json::parse(*text);
  const int64_t now = golden["now"].get<int64_t>() * 1'000'000'000;
  std::map<std::string, int> rendered;
  for (const Json& each : golden["cases"]) {
    // Where the text of an unfinished message ends is the API's part.
    if (each["continue_final_message"].get<bool>()) continue;
    const auto family = each["family"].get<std::string>();
    const auto parsed = ChatTemplate::of_argument(kFolder + "families/" + family + ".jinja");
    ASSERT_TRUE(parsed.has_value()) << parsed.error().message;
    Json context = {{"messages", golden["conversations"][each["conversation"].get<std::string>()]},
                    {"tools", each["tools"].get<bool>() ? golden["tools"] : Json()},
                    {"documents", nullptr},
                    {"add_generation_prompt", each["add_generation_prompt"]},
                    {"bos_token", "<s>"},
                    {"eos_token", "</s>"}};
    context.update(each["arguments"]);
    const std::string name =
        family + " " + each["conversation"].get<std::string>() + each["arguments"].dump();
    const auto result = (*parsed)->render(context, now);
    if (each.contains("error")) {
      ASSERT_FALSE(result.has_value()) << name << ": " << *result;
      EXPECT_EQ(result.error().message, each["error"].get<std::string>()) << name;
    } else {
      ASSERT_TRUE(result.has_value()) << name << ": " << result.error().message;
      EXPECT_EQ(*result, each["text"].get<std::string>()) << name;
    }
    ++rendered[family];
  }
  EXPECT_EQ(rendered.size(), 5u);
}

TEST(ChatTemplate, TodayIsWhatTheCallerSaysAndElseUndefined) {
  const auto parsed =
      ChatTemplate::parse("{{ strftime_now('%d %b %Y') if strftime_now is defined }}");
  ASSERT_TRUE(parsed.has_value()) << parsed.error().message;
  EXPECT_EQ(*(*parsed)->render(Json::object(), int64_t{1732533000} * 1'000'000'000), "25 Nov 2024");
  EXPECT_EQ(*(*parsed)->render(Json::object()), "");
}

TEST(ChatTemplate, JsonIsWrittenAsAskedFor) {
  const auto parsed = ChatTemplate::parse(
      "{{ x | tojson }}|{{ x | tojson(separators=(',', ':'), sort_keys=true) }}|"
      "{{ x | tojson(ensure_ascii=true) }}");
  ASSERT_TRUE(parsed.has_value()) << parsed.error().message;
  const Json context = {{"x", {{"b", 1}, {"a", {"\u00e9"}}}}};
  EXPECT_EQ(*(*parsed)->render(context),
            "{\"b\": 1, \"a\": [\"\u00e9\"]}|{\"a\":[\"\u00e9\"],\"b\":1}|"
            "{\"b\": 1, \"a\": [\"\\u00e9\"]}");
}

TEST(ChatTemplate, AnArgumentIsAFileOrATemplate) {
  const auto text = ChatTemplate::of_argument("{{ 1 + 1 }}");
  ASSERT_TRUE(text.has_value()) << text.error().message;
  EXPECT_EQ(*(*text)->render(Json::object()), "2");
  const auto missing = ChatTemplate::of_argument("no/such.jinja");
  ASSERT_FALSE(missing.has_value());
  EXPECT_EQ(missing.error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(missing.error().message.find("--chat-template: got \"no/such.jinja\""),
            std::string::npos)
      << missing.error().message;
}

}  // namespace
}  // namespace touchstone::chat_template
