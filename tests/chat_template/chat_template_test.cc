#include "reference_engine/chat_template/chat_template.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/files.h"
#include "tests/support/paths.h"

namespace touchstone::chat_template {
namespace {

using nlohmann::json;

TEST(ChatTemplate, RendersWhatJinjaRenders) {
  const auto text = read_file(support::source_dir() + "/fixtures/templates/cases.json");
  ASSERT_TRUE(text.has_value()) << text.error().message;
  const json golden = json::parse(*text);
  ASSERT_GT(golden["cases"].size(), 150u);
  for (const json& each : golden["cases"]) {
    const auto name = each["name"].get<std::string>();
    auto parsed = ChatTemplate::parse(each["template"].get<std::string>());
    ASSERT_TRUE(parsed.has_value()) << name << ": " << parsed.error().message;
    const auto rendered = (*parsed)->render(each["context"]);
    if (each.contains("error")) {
      ASSERT_FALSE(rendered.has_value()) << name << ": " << *rendered;
      EXPECT_NE(rendered.error().message.find(each["error"].get<std::string>()), std::string::npos)
          << name << ": got " << rendered.error().message << ", expected " << each["error"];
    } else if (rendered) {
      EXPECT_EQ(*rendered, each["text"].get<std::string>()) << name;
    } else {
      ADD_FAILURE() << name << ": " << rendered.error().message;
    }
  }
}

TEST(ChatTemplate, RefusesWhatItDoesNotKnowByNameAndLine) {
  struct Case {
    const char* source;
    ErrorCode code;
    const char* message;
  };
  for (const auto& [source, code, message] : {
           Case{"a\n{% include 'x' %}", ErrorCode::kUnsupported, "line 2: the tag {% include %}"},
           {"{{ x | wordwrap }}", ErrorCode::kUnsupported, "line 1: the filter wordwrap"},
           {"{{ x is sameas y }}", ErrorCode::kUnsupported, "the test sameas"},
           {"{{ x.append(1) }}", ErrorCode::kUnsupported, "the method append()"},
           {"\n\n{% for x in y recursive %}{% endfor %}", ErrorCode::kUnsupported,
            "line 3: a recursive loop"},
           {"{{ f(*x) }}", ErrorCode::kUnsupported, "unpacking arguments"},
           {"{% if x %}", ErrorCode::kMalformed, "expected {% endif %}"},
           {"{% endif %}", ErrorCode::kUnsupported, "the tag {% endif %}"},
           {"{{ x", ErrorCode::kMalformed, "a tag without end"},
           {"{{ 'x }}", ErrorCode::kMalformed, "a string without end"},
           {"{{ '\\xZZ' }}", ErrorCode::kMalformed, "a bad escape in a string"},
           {"{# x", ErrorCode::kMalformed, "a comment without end"},
           {"{{ 1 + }}", ErrorCode::kMalformed, "expected a value"},
           {"{{ ) }}", ErrorCode::kMalformed, "a bracket closes nothing"},
           {"{% break %}", ErrorCode::kMalformed, "outside a loop"},
       }) {
    const auto parsed = ChatTemplate::parse(source);
    ASSERT_FALSE(parsed.has_value()) << source;
    EXPECT_EQ(parsed.error().code, code) << source << ": " << parsed.error().message;
    EXPECT_NE(parsed.error().message.find(message), std::string::npos)
        << source << ": " << parsed.error().message;
  }
}

TEST(ChatTemplate, HostileTemplatesEnd) {
  for (const std::string source :
       {"{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% set x = 'aaaaaaaaaaaaaaaa' %}{% for i in range(60) %}{% set x = x ~ x %}{% endfor %}"
        "{{ 'a' * 1000000000000 }}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "{{ range(1000000000) }}"}) {
    auto parsed = ChatTemplate::parse(source);
    ASSERT_TRUE(parsed.has_value()) << source << parsed.error().message;
    EXPECT_FALSE((*parsed)->render(json::object()).has_value()) << source;
  }
  EXPECT_FALSE(ChatTemplate::parse("{{ " + std::string(5000, '(') + std::string(5000, ')') + " }}")
                   .has_value());
  EXPECT_FALSE(ChatTemplate::parse("{{ " + std::string(5000, '-') + "1 }}").has_value());
}

TEST(ChatTemplate, BytesThatAreNoTextAreRefused) {
  for (const char* source : {"\xff", "{{ 'a\xe9' | title }}", "{{ '\xed\xa0\x80' }}"}) {
    const auto parsed = ChatTemplate::parse(source);
    ASSERT_FALSE(parsed.has_value());
    EXPECT_EQ(parsed.error().message, "chat template: got bytes that are not UTF-8, expected text");
  }
}

TEST(ChatTemplate, KnowsWhetherContentIsAList) {
  const auto loops = [](const std::string& source) {
    return std::move(ChatTemplate::parse(source)).value()->loops_over_content();
  };
  EXPECT_FALSE(loops("{% for m in messages %}{{ m.content }}{% endfor %}"));
  EXPECT_TRUE(loops(
      "{% for m in messages %}{% for p in m['content'] %}{{ p.text }}{% endfor %}{% endfor %}"));
  EXPECT_TRUE(
      loops("{% for m in messages %}{% if x %}{% for p in m.content %}{% endfor %}{% endif %}{% "
            "endfor %}"));
}

TEST(ChatTemplate, ComesFromEitherFileOfTheFolder) {
  auto folder = TemporaryDirectory::make("touchstone-template");
  ASSERT_TRUE(folder.has_value());
  const std::string& path = folder->path();
  EXPECT_EQ(ChatTemplate::load(path).error().code, ErrorCode::kNotFound);
  const auto write = [&](const char* name, const std::string& content) {
    ASSERT_TRUE(write_file_atomic(path + "/" + name, content).has_value());
  };
  const auto rendered = [&] {
    auto loaded = ChatTemplate::load(path);
    return loaded ? *(*loaded)->render(json::object()) : loaded.error().message;
  };
  write("tokenizer_config.json", R"({"chat_template":"a"})");
  EXPECT_EQ(rendered(), "a");
  write("tokenizer_config.json",
        R"({"chat_template":[{"name":"x","template":"x"},{"name":"default","template":"d"}]})");
  EXPECT_EQ(rendered(), "d");
  write("chat_template.jinja", "b");
  EXPECT_EQ(rendered(), "b");
}

}  // namespace
}  // namespace touchstone::chat_template
