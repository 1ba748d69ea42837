// Two dialects of one run, through the real Collector, each judged by its own profile.
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>

#include "conformance/judge.h"
#include "tests/end_to_end/stack.h"

namespace touchstone::end_to_end {
namespace {

/// Both dialects, twelve whole requests, one that hangs up and three that are refused.
TEST_F(Check, TwoDialectsOfOneRunAreJudgedByTheirProfiles) {
  std::string text = small_suite_text(12, 1.5);
  auto workload = read_file(path("load.jsonl"));
  ASSERT_TRUE(workload);
  write("load.jsonl",
        *workload +
            R"({"name": "gone", "arrival_ns": 1500000000, "stream": true, "prompt": "My father", )"
            R"("output_tokens": 400, "sampling": {"ignore_eos": true}, "hang_up_after_chunks": 4})"
            "\n"
            R"({"name": "cold", "arrival_ns": 1600000000, "expect_status": 400, )"
            R"("raw_body": "{\"model\": \"${model}\", \"prompt\": \"a\", \"temperature\": -1.0}"})"
            "\n"
            R"({"name": "other", "arrival_ns": 1700000000, "expect_status": 404, )"
            R"("raw_body": "{\"model\": \"none\", \"prompt\": \"a\"}"})"
            "\n"
            R"({"name": "torn", "arrival_ns": 1800000000, "expect_status": 400, "raw_body": "{"})"
            "\n");
  text =
      replaced(text, "      - --step-log", "      - --span-dialect=vllm,audit\n      - --step-log");
  text = replaced(text, "profiles: [vllm-v1]", "profiles: [vllm-v1, audit]");
  const Ran ran = check(write("suite.yaml", text));
  EXPECT_EQ(ran.code, 0) << ran.output << ran.errors;
  const auto judged = report();
  EXPECT_EQ(judged.at("verdict"), "pass");
  std::map<std::string, std::vector<std::string>> titles;
  for (const auto& one : judged.at("checks")) {
    titles[one.at("id").get<std::string>()].push_back(one.at("title").get<std::string>());
    if (one.at("id") != "completeness.missing") continue;
    EXPECT_EQ(one.at("examined"), 16);
    EXPECT_EQ(one.at("verdict"), "pass");
  }
  EXPECT_EQ(titles.at("completeness.missing"),
            (std::vector<std::string>{"Every owed span arrived [vllm-v1]",
                                      "Every owed span arrived [audit]"}));
  for (const char* of_run : {"span.known_type", "request.answered", "span.id.unique"}) {
    EXPECT_EQ(titles.at(of_run).size(), 1u) << of_run;
  }
  const auto read = this->evidence();
  ASSERT_TRUE(read);
  EXPECT_EQ(conformance::span_count(*read), 12 + 16) << "vLLM's of the answered, audit's of all";
}

struct Transported {
  const char* name;
  const char* protocol;  // empty: gRPC
};

class CheckOver : public Check, public ::testing::WithParamInterface<Transported> {};

/// Each dialect alone: every owed span there, every key on every span that must have it.
TEST_P(CheckOver, EveryDialectPassesItsOwnProfile) {
  const struct {
    const char* dialect;
    const char* profile;
  } rows[] = {{"vllm", "vllm-v1"},    {"audit", "audit"}, {"phases", "phases"},
              {"vllm-v0", "vllm-v0"}, {"genai", "genai"}, {"tutorial", "tutorial"},
              {"vllm,http", "http"}};
  for (const auto& row : rows) {
    SCOPED_TRACE(row.dialect);
    std::string text = small_suite_text(12, 1.0);
    text = replaced(text, "      - --step-log",
                    std::string("      - --span-dialect=") + row.dialect + "\n      - --step-log");
    text = replaced(text, "profiles: [vllm-v1]", std::string("profiles: [") + row.profile + "]");
    if (*GetParam().protocol != '\0') {
      text = replaced(text, "${collector.otlp_grpc}", "${collector.otlp_http}");
      text = replaced(text, "    environment: {",
                      std::string("    environment: {") +
                          "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: " + GetParam().protocol + ", ");
    }
    const Ran ran = check(write("suite.yaml", text));
    EXPECT_EQ(ran.code, 0) << ran.output << ran.errors;
    const auto judged = report();
    EXPECT_EQ(judged.at("verdict"), "pass");
    int64_t required = 0;
    for (const auto& one : judged.at("coverage")) {
      if (one.at("level") != "MUST") continue;
      ++required;
      EXPECT_EQ(one.at("present"), one.at("total")) << one.dump();
      EXPECT_GT(one.at("total"), 0) << one.dump();
    }
    EXPECT_GT(required, 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Transports, CheckOver,
                         ::testing::Values(Transported{"grpc", ""},
                                           Transported{"http", "http/protobuf"},
                                           Transported{"json", "http/json"}),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace touchstone::end_to_end
