#include "base/document.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace touchstone {
namespace {

constexpr char kSuite[] = R"(name: quickstart
load:
  requests: 64
  rate: 4.5
  warm_up: 250ms
  streamed: true
  tags: [a, b]
checks:
  - id: one
  - id: two
    level: must
)";

enum class Level { kMust, kShould };

struct Suite {
  std::string name;
  int64_t requests = 0;
  std::vector<std::string> tags;
  std::vector<std::string> ids;
  Level level = Level::kShould;
};

Result<Suite> read(const std::string& text) {
  auto document = Document::parse_yaml("suite.yaml", text);
  if (!document) return std::move(document).error();
  Suite suite;
  const Fields root = document->root();
  suite.name = root.required_string("name");
  const Fields load = root.required_object("load");
  suite.requests = load.int_in("requests", 1, 1, 1000);
  (void)load.optional_double("rate");
  (void)load.optional_duration_ns("warm_up");
  (void)load.optional_bool("streamed");
  suite.tags = load.strings("tags");
  for (const Fields& check : root.objects("checks")) {
    suite.ids.push_back(check.required_string("id"));
    suite.level =
        check.optional_enum<Level>("level", {{"must", Level::kMust}, {"should", Level::kShould}})
            .value_or(suite.level);
  }
  RETURN_IF_ERROR(document->finish());
  return suite;
}

TEST(Document, ReadsWhatIsThere) {
  const auto suite = read(kSuite);
  ASSERT_TRUE(suite) << suite.error().message;
  EXPECT_EQ(suite->name, "quickstart");
  EXPECT_EQ(suite->requests, 64);
  EXPECT_EQ(suite->tags, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(suite->ids, (std::vector<std::string>{"one", "two"}));
  EXPECT_EQ(suite->level, Level::kMust);
}

/// The suite with one line replaced by another.
std::string with(const std::string& line, const std::string& other) {
  std::string text = kSuite;
  const size_t at = text.find(line);
  EXPECT_NE(at, std::string::npos) << line;
  return text.replace(at, line.size(), other);
}

TEST(Document, EveryErrorSaysWhereWhatAndWhatWasExpected) {
  struct Row {
    std::string line, other, message, hint;
  };
  const std::vector<Row> rows = {
      {"requests: 64", "requests: many",
       "suite.yaml:3: load.requests: got \"many\", expected an integer", ""},
      {"requests: 64", "requests: 0", "suite.yaml:3: load.requests: got 0, expected 1 to 1000", ""},
      {"requests: 64", "requests: 6.5", "suite.yaml:3: load.requests: got 6.5, expected an integer",
       ""},
      {"rate: 4.5", "rate: fast", "suite.yaml:4: load.rate: got \"fast\", expected a number", ""},
      {"warm_up: 250ms", "warm_up: 250", "suite.yaml:5: load.warm_up: got 250, expected a string",
       ""},
      {"streamed: true", "streamed: yes",
       "suite.yaml:6: load.streamed: got \"yes\", expected true or false", ""},
      {"tags: [a, b]", "tags: [a, 1]",
       "suite.yaml:7: load.tags: got [\"a\",1], expected a list of strings", ""},
      {"name: quickstart", "nme: quickstart", "suite.yaml:1: missing key \"name\"",
       "is \"nme\" meant to be \"name\"?"},
      {"requests: 64", "request: 64",
       "suite.yaml:3: load.request: unknown key, expected one of: rate, requests, streamed, tags, "
       "warm_up",
       "did you mean \"requests\"?"},
      {"level: must", "level: mst",
       "suite.yaml:11: checks[1].level: got \"mst\", expected one of: must, should",
       "did you mean \"must\"?"},
      {"level: must", "levl: must",
       "suite.yaml:11: checks[1].levl: unknown key, expected one of: id, level",
       "did you mean \"level\"?"},
      {"rate: 4.5", "requests: 65",
       "suite.yaml:4: load.requests: got the key twice, expected it once", ""},
  };
  for (const Row& row : rows) {
    const auto suite = read(with(row.line, row.other));
    ASSERT_FALSE(suite) << row.other;
    EXPECT_EQ(suite.error().message, row.message);
    EXPECT_EQ(suite.error().hint, row.hint) << row.other;
    EXPECT_EQ(suite.error().code, ErrorCode::kInvalidArgument);
  }
}

TEST(Document, BrokenInputIsAnErrorNotAnAbort) {
  EXPECT_EQ(read("a: [1").error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(read("- just\n- a list\n").error().message,
            "suite.yaml:1: got [\"just\",\"a list\"], expected an object");
  const auto line = Document::parse_json_line("log.jsonl", 7, "{\"a\": ");
  ASSERT_FALSE(line);
  EXPECT_TRUE(line.error().message.starts_with("log.jsonl:7: not valid JSON"))
      << line.error().message;
  EXPECT_EQ(line.error().code, ErrorCode::kMalformed);
}

TEST(Document, JsonLinesSayFileAndLineAndMayIgnoreUnknownKeys) {
  auto document = Document::parse_json_line("log.jsonl", 7, R"({"a": 1, "b": {"c": 2}})");
  ASSERT_TRUE(document);
  EXPECT_EQ(document->root().required_int("a"), 1);
  EXPECT_EQ(document->finish().error().message, "log.jsonl:7: b: unknown key, expected one of: a");
  auto machine = Document::parse_json_line("log.jsonl", 7, R"({"a": 1, "b": {"c": 2}})");
  machine->ignore_unknown_keys();
  (void)machine->root().required_int("a");
  EXPECT_TRUE(machine->finish());
}

TEST(Document, QuotedScalarsStayStringsAndPlainOnesFollowYaml12) {
  auto document = Document::parse_yaml("x", "a: '12'\nb: 12\nc: no\nd: ~\ne: 1e3\n");
  ASSERT_TRUE(document);
  EXPECT_EQ(document->tree()["a"], "12");
  EXPECT_EQ(document->tree()["b"], 12);
  EXPECT_EQ(document->tree()["c"], "no");
  EXPECT_TRUE(document->tree()["d"].is_null());
  EXPECT_EQ(document->tree()["e"], 1000.0);
}

}  // namespace
}  // namespace touchstone
