// Faults on the way: what a sender should survive costs nothing, and what it cannot is told.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/end_to_end/faulty_stack.h"

namespace touchstone::end_to_end {
namespace {

using ::testing::HasSubstr;

TEST_F(FaultyStack, WhatASenderShouldSurviveLosesNothing) {
  for (const char* fault :
       {"refuse:subject/collector@500ms+1s", "throttle:subject/collector@500ms+1s",
        "unavailable:collector/backend@500ms+1s", "slow:subject/collector@0ms,latency=50ms",
        "stop:backend@500ms+1s", "restart:backend@1s"}) {
    SCOPED_TRACE(fault);
    const Ran ran = check(suite({}), {"--fault", fault});
    EXPECT_EQ(ran.code, 0) << ran.output << ran.errors;
    EXPECT_THAT(report().at("notes").dump(), HasSubstr(std::string("fault injected: ") + fault));
    EXPECT_EQ(distinct_spans(), 20);
  }
}

TEST_F(FaultyStack, AClockThatIsWrongIsFoundAndAccusesNobody) {
  const Ran ran = check(suite({}), {"--fault", "clock:subject/collector@0ms,by=2s"});
  EXPECT_EQ(ran.code, 0) << ran.output << ran.errors;
  EXPECT_THAT(report().at("notes").dump(), HasSubstr("Server's clock minus client's: "));
  EXPECT_THAT(report().at("notes").dump(),
              testing::ContainsRegex("client's: (2|1.99[0-9]*|2.00[0-9]*) s to "));
}

TEST_F(FaultyStack, AGatewayThatRefusesIsNoAnswer) {
  const Ran ran = check(suite({.answered_share = 0.1}),
                        {"--fault", "throttle:client/subject@1s,retry_after=7s"});
  EXPECT_EQ(ran.code, 0) << ran.output << ran.errors;
  const auto read = evidence();
  ASSERT_TRUE(read);
  EXPECT_EQ(read->ledger->back().status, 429);
  EXPECT_EQ(read->ledger->back().error, "TooManyRequests");
  EXPECT_EQ(distinct_spans(), completed()) << "who was refused owes nothing";
}

TEST_F(FaultyStack, AFullDiskIsCountedAndNothingElseIsFull) {
  const std::string text = replaced(small_suite_text(20, 2), "load.jsonl\n", "load.jsonl\n");
  const Ran ran = check(write("suite.yaml", text), {"--fault", "full-disk:collector@500ms"});
  const std::string notes = report().at("notes").dump();
  if (notes.find("a full disk needs root") != std::string::npos ||
      notes.find("no file system of its own") != std::string::npos) {
    EXPECT_EQ(ran.code, 3) << "not injected is not decided";
    GTEST_SKIP() << "no full disk here: " << notes;
  }
  EXPECT_EQ(ran.code, 1) << ran.output << ran.errors;
  const int64_t lost = 20 - distinct_spans();
  ASSERT_GT(lost, 0) << ran.output;
  EXPECT_EQ(losses().at("owed and missing"), lost);
}

TEST_F(FaultyStack, AFaultOnAWireThatIsNotThereIsAUsageError) {
  for (const auto& [fault, expected] :
       {std::pair<const char*, const char*>{"refuse:subject@1s", "subject/collector"},
        {"partial:client/subject@1s", "expected one of: subject/collector, collector/backend"},
        {"kill:subject/collector@1s", "expected one of: collector, subject, backend"},
        {"full-disk:backend@1s", "expected one of: collector, subject"},
        {"slow:subject/collector@1s,late=1s", "got the option \"late\""}}) {
    const Ran ran = check(suite({}), {"--fault", fault});
    EXPECT_EQ(ran.code, 2) << fault;
    EXPECT_THAT(ran.errors, HasSubstr(expected)) << fault;
  }
}

}  // namespace
}  // namespace touchstone::end_to_end
