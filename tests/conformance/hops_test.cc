// Losses planted at each hop of the recorded run, located where they were planted.
#include "conformance/hops.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "tests/conformance/recorded.h"

namespace touchstone::conformance {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

using Rows = std::map<std::string, int64_t>;

struct PlantedRun {
  Evidence evidence = recorded_evidence();
  HopSpans to_collector{"subject", "collector"};
  HopSpans to_backend{"collector", "backend"};
  std::vector<telemetry::Span> sent;  ///< one of each completed request
  std::set<SpanId> in_file;

  PlantedRun() {
    // Who sent no traceparent is found by its request id, which these spans are added without.
    std::erase_if(*evidence.ledger, [](const auto& entry) { return !entry.trace_id.is_valid(); });
    std::set<TraceId> completed;
    for (const auto& entry : *evidence.ledger) {
      if (entry.outcome == records::ClientOutcome::kCompleted) completed.insert(entry.trace_id);
    }
    for (const auto& group : evidence.spans[0]) {
      for (const auto& scope : group.scope_spans) {
        for (const auto& span : scope.spans) {
          if (completed.contains(span.trace_id)) sent.push_back(span);
        }
      }
    }
    for (const auto& span : sent) {
      to_collector.taken.insert(id(span));
      to_backend.taken.insert(id(span));
      in_file.insert(span.span_id);
    }
  }
  static HopSpans::Id id(const telemetry::Span& span) { return {span.trace_id, span.span_id}; }

  std::optional<result::FigureTable> table(bool counted = true) {
    static const Profile kProfile = vllm_v1();
    Matching matching(*evidence.ledger, kProfile);
    int64_t arrived = 0;
    for (const auto& span : sent) {
      if (!in_file.contains(span.span_id)) continue;
      matching.add(span, std::nullopt);
      ++arrived;
    }
    evidence.hops.clear();
    if (counted) evidence.hops = {to_collector, to_backend};
    return loss_table(evidence, matching, arrived);
  }
  Rows rows(bool counted = true) {
    Rows rows;
    const auto made = table(counted);
    if (!made) return rows;
    for (const auto& row : made->rows) {
      rows[row.name] = static_cast<int64_t>(row.values.front().value);
    }
    return rows;
  }
};

telemetry::MetricsPage page_of(const std::string& text) {
  auto page = telemetry::parse_prometheus_text("page", text);
  EXPECT_TRUE(page) << page.error().message;
  return std::move(*page);
}

TEST(Hops, NothingMissingIsNoTable) {
  PlantedRun run;
  ASSERT_GT(run.sent.size(), 40u);
  EXPECT_FALSE(run.table());
}

TEST(Hops, EachLossStandsAtItsHopAndTheyAddUp) {
  PlantedRun run;
  const auto lose_behind = [&](size_t i) { run.in_file.erase(run.sent[i].span_id); };
  const auto lose_in_collector = [&](size_t i) {
    lose_behind(i);
    run.to_backend.taken.erase(PlantedRun::id(run.sent[i]));
  };
  const auto lose_before = [&](size_t i) {
    lose_in_collector(i);
    run.to_collector.taken.erase(PlantedRun::id(run.sent[i]));
  };
  for (size_t i = 0; i < 2; ++i) lose_behind(i);
  for (size_t i = 2; i < 5; ++i) lose_in_collector(i);
  for (size_t i = 5; i < 9; ++i) lose_before(i);
  for (size_t i = 9; i < 14; ++i) {
    lose_before(i);
    run.to_collector.rejected.insert(PlantedRun::id(run.sent[i]));
  }
  for (size_t i = 14; i < 20; ++i) {
    lose_before(i);
    run.to_collector.refused.insert(PlantedRun::id(run.sent[i]));
  }
  lose_in_collector(20);
  run.to_backend.rejected.insert(PlantedRun::id(run.sent[20]));
  // Refused once and taken when it was sent again: no loss.
  run.to_collector.refused.insert(PlantedRun::id(run.sent[21]));
  EXPECT_THAT(run.rows(),
              ElementsAre(Pair("behind the Collector: taken, and not in the file", 2),
                          Pair("in the Collector: it ended, and its counters with it", 3),
                          Pair("in the subject: the Collector was never asked to take them", 4),
                          Pair("owed and missing", 21),
                          Pair("refused before the Collector, and not sent again", 6),
                          Pair("rejected before the Collector, as a partial success", 5),
                          Pair("rejected behind the Collector, as a partial success", 1)));
}

TEST(Hops, WhoSentNoTraceCannotBeFollowed) {
  PlantedRun run;
  run.evidence.ledger->front().trace_id = {};
  EXPECT_EQ(run.rows(), (Rows{{"nobody knows where", 1}, {"owed and missing", 1}}));
}

TEST(Hops, TheCollectorsCountersSayWhatBecameOfThemWithinIt) {
  PlantedRun run;
  for (size_t i = 0; i < 6; ++i) {
    run.in_file.erase(run.sent[i].span_id);
    run.to_backend.taken.erase(PlantedRun::id(run.sent[i]));
  }
  run.evidence.collector_metrics = page_of(
      "otelcol_processor_incoming_items{processor=\"filter\",otel_signal=\"traces\"} 60\n"
      "otelcol_processor_outgoing_items{processor=\"filter\",otel_signal=\"traces\"} 59\n"
      "otelcol_exporter_send_failed_spans{exporter=\"otlp\"} 2\n"
      "otelcol_exporter_enqueue_failed_spans{exporter=\"otlp\"} 1\n");
  EXPECT_THAT(run.rows(), ElementsAre(Pair("in the Collector: held when it ended", 2),
                                      Pair("in the Collector: not queued by exporter otlp", 1),
                                      Pair("in the Collector: not sent by exporter otlp", 2),
                                      Pair("in the Collector: removed by its processors", 1),
                                      Pair("owed and missing", 6)));
}

TEST(Hops, WithoutACountTheCollectorsCountersTellWhatTheyCan) {
  PlantedRun run;
  for (size_t i = 0; i < 10; ++i) run.in_file.erase(run.sent[i].span_id);
  const auto unknown = run.table(false);
  ASSERT_TRUE(unknown);
  EXPECT_THAT(run.rows(false), Contains(Pair("nobody knows where", 10)));
  EXPECT_THAT(unknown->notes.at(0), HasSubstr("count_hops"));
  run.evidence.collector_metrics = page_of(
      "otelcol_receiver_accepted_spans{receiver=\"otlp\"} " + std::to_string(run.sent.size() - 7) +
      "\notelcol_receiver_refused_spans{receiver=\"otlp\"} 2\n"
      "otelcol_exporter_send_failed_spans{exporter=\"file\"} 1\n");
  EXPECT_THAT(run.rows(false),
              ElementsAre(Pair("in the Collector: not sent by exporter file", 1),
                          Pair("in the Collector: taken, and not in the file", 2),
                          Pair("in the subject, or on the way to the Collector", 5),
                          Pair("owed and missing", 10),
                          Pair("refused by the Collector, and not sent again", 2)));
}

}  // namespace
}  // namespace touchstone::conformance
