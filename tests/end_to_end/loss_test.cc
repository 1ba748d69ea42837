// A loss planted at each hop is found at that hop, in the number that was lost there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/end_to_end/faulty_stack.h"

namespace touchstone::end_to_end {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

constexpr char kSum[] = "owed and missing";

TEST_F(FaultyStack, NothingIsLostWithoutAFaultOverAnyTransport) {
  for (const char* protocol : {"grpc", "http/protobuf", "http/json"}) {
    SCOPED_TRACE(protocol);
    const Ran ran = check(suite({.protocol = protocol}));
    EXPECT_EQ(ran.code, 0) << ran.output << ran.errors;
    EXPECT_TRUE(losses().empty()) << ran.output;
    const auto hops = evidence();
    ASSERT_TRUE(hops && hops->hops.size() == 2);
    EXPECT_EQ(hops->hops[0].from + " to " + hops->hops[0].to, "subject to collector");
    EXPECT_GE(hops->hops[0].taken.size(), 20u);
    EXPECT_EQ(hops->hops[1].taken, hops->hops[0].taken) << "everything went on to the backend";
  }
}

TEST_F(FaultyStack, LostInASubjectThatIsKilledWithItsQueue) {
  // What was answered since a batch left it is in the queue when it dies.
  const Ran ran = check(suite({.requests = 30, .seconds = 4, .schedule_delay_ms = "1500"}),
                        {"--fault", "kill:subject@2500ms"});
  EXPECT_EQ(ran.code, 1) << ran.output << ran.errors;
  const int64_t lost = completed() - distinct_spans();
  ASSERT_GT(lost, 0);
  EXPECT_THAT(losses(), ElementsAre(Pair("in the subject: the Collector was never asked to take "
                                         "them",
                                         lost),
                                    Pair(kSum, lost)));
}

TEST_F(FaultyStack, RejectedOnTheWayToTheCollector) {
  const Ran ran = check(suite({}), {"--fault", "partial:subject/collector@0ms,share=50"});
  EXPECT_EQ(ran.code, 1) << ran.output << ran.errors;
  const int64_t lost = completed() - distinct_spans();
  ASSERT_GT(lost, 0);
  EXPECT_THAT(losses(),
              ElementsAre(Pair(kSum, lost),
                          Pair("rejected before the Collector, as a partial success", lost)));
  EXPECT_THAT(ran.output, HasSubstr("Where spans were lost"));
}

TEST_F(FaultyStack, RemovedByAProcessorOfTheCollector) {
  const Ran ran = check(suite({.processors = {{"filter/half",
                                               "{error_mode: ignore, trace_conditions: "
                                               "['IsMatch(span.attributes[\"gen_ai.request.id\"], "
                                               "\"^cmpl-.*[02468ace]-0$\")']}"}}}));
  EXPECT_EQ(ran.code, 1) << ran.output << ran.errors;
  const int64_t lost = completed() - distinct_spans();
  ASSERT_GT(lost, 0);
  EXPECT_THAT(losses(), ElementsAre(Pair("in the Collector: removed by its processors", lost),
                                    Pair(kSum, lost)));
}

TEST_F(FaultyStack, LostInACollectorThatIsKilledWithWhatItHolds) {
  // It answers at once and would send on after a minute.
  const Ran ran =
      check(suite({.requests = 30,
                   .seconds = 3,
                   .processors = {{"batch", "{timeout: 60s, send_batch_size: 100000}"}}}),
            {"--fault", "restart:collector@2s"});
  EXPECT_EQ(ran.code, 1) << ran.output << ran.errors;
  const int64_t lost = completed() - distinct_spans();
  ASSERT_GT(lost, 0);
  EXPECT_THAT(losses(),
              ElementsAre(Pair("in the Collector: it ended, and its counters with it", lost),
                          Pair(kSum, lost)));
}

TEST_F(FaultyStack, RejectedByTheBackend) {
  const Ran ran = check(suite({}), {"--fault", "partial:collector/backend@0ms,share=25"});
  EXPECT_EQ(ran.code, 1) << ran.output << ran.errors;
  const int64_t lost = completed() - distinct_spans();
  ASSERT_GT(lost, 0);
  EXPECT_THAT(losses(),
              ElementsAre(Pair(kSum, lost),
                          Pair("rejected behind the Collector, as a partial success", lost)));
}

TEST_F(FaultyStack, LostBehindTheCollectorFromTheFile) {
  ASSERT_EQ(check(suite({})).code, 0);
  const auto file = read_file(path("report/run/spans.otlp.jsonl"));
  ASSERT_TRUE(file);
  const size_t line = file->find('\n', file->find("llm_request")) + 1;
  write("report/run/spans.otlp.jsonl", file->substr(0, line));
  const Ran ran = check("", {"--run", path("report/run")});
  EXPECT_EQ(ran.code, 1) << ran.output << ran.errors;
  const int64_t lost = completed() - distinct_spans();
  ASSERT_GT(lost, 0);
  EXPECT_THAT(losses(), ElementsAre(Pair("behind the Collector: taken, and not in the file", lost),
                                    Pair(kSum, lost)));
}

}  // namespace
}  // namespace touchstone::end_to_end
