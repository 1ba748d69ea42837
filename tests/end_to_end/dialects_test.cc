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

}  // namespace
}  // namespace touchstone::end_to_end
