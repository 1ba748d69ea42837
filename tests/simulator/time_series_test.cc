// A simulation as a scraper sees it, and two of them beside each other.
#include "simulator/time_series.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "simulator/against.h"
#include "tests/simulator/support.h"

namespace touchstone::simulator {
namespace {

using ::testing::HasSubstr;

TEST(TimeSeriesOfASimulation, ShowsTheGaugesOfEachInstant) {
  // Two steps of 10 ns from 0 on, one request; then one at 55 for one step.
  ListSource source({simulated(1, 0, 3, 2), simulated(2, 55, 9, 1)});
  const auto model = make_constant_step_time(10);
  Summary summary;
  TimeSeries series(summary, 4, 1);
  const auto end = run_simulation(small_config(), source, *model, series);
  ASSERT_TRUE(end.has_value());
  ASSERT_TRUE(series.finish(end->end_ns).has_value());
  const std::vector<Scrape>& scrapes = series.scrapes(0);
  ASSERT_EQ(scrapes.size(), 18u) << "at 0, 4, …, 68: the end is at 65";
  const auto running = [&](int64_t time_ns) {
    return scrapes[static_cast<size_t>(time_ns / 4)].running;
  };
  EXPECT_EQ(running(0), 1) << "a step that begins at this instant is seen";
  EXPECT_EQ(running(4), 1);
  EXPECT_EQ(running(20), 0) << "it ended at 20";
  EXPECT_EQ(running(56), 1);
  EXPECT_EQ(running(68), 0);
  EXPECT_EQ(scrapes[1].used_blocks, 1);
  EXPECT_EQ(scrapes[15].used_blocks, 3) << "nine tokens in blocks of four";
  EXPECT_EQ(scrapes[5].requests, 1);
  EXPECT_EQ(scrapes.back().requests, 2);
  EXPECT_EQ(scrapes[2].output_tokens, 0);
  EXPECT_EQ(scrapes[3].output_tokens, 1) << "a token is there when its step has ended";
  EXPECT_EQ(scrapes.back().output_tokens, 3);
  EXPECT_EQ(summary.completed, 2) << "the next observer sees everything";
  const std::string csv = series.csv();
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 19);
  EXPECT_THAT(csv, HasSubstr("\n4e-09,0,1,0,0.01,0,0,0,0,0,0\n"));
  const std::vector<result::Chart> charts = series.charts();
  ASSERT_EQ(charts.size(), 4u);
  EXPECT_EQ(charts[0].series[0].y[1], 1);
}

/// A chart that fits shows the same instants as one at its interval, whatever came first.
TEST(TimeSeriesOfASimulation, AnIntervalThatFitsIsAsOneThatWasGiven) {
  std::vector<SimulatedRequest> requests;
  for (int32_t i = 0; i < 4000; ++i) {
    requests.push_back(
        simulated(static_cast<uint64_t>(i) + 1, int64_t{i} * 7'000, 5 + i % 9, 1 + i % 5));
  }
  const auto model = make_linear_step_time({1000, 50, 100});
  const std::vector<ReplicaOptions> replicas(2, {small_config(), *model});
  const auto run = [&](TimeSeries& series) {
    ListSource source(requests);
    const auto router = make_round_robin_router();
    const auto end = run_simulation(replicas, *router, source, series, 0);
    ASSERT_TRUE(end.has_value());
    ASSERT_TRUE(series.finish(end->end_ns).has_value());
  };
  Summary first;
  TimeSeries fits(first, 1000, 2, TimeSeries::Interval::kAsFits);
  run(fits);
  const int64_t points = std::ssize(fits.scrapes(0));
  EXPECT_LE(points, TimeSeries::kMostOfChart);
  EXPECT_GT(points, TimeSeries::kMostOfChart / 2 - 2);
  Summary second;
  TimeSeries given(second, 64'000, 2);
  run(given);
  EXPECT_EQ(fits.csv(), given.csv());
}

TEST(TimeSeriesOfASimulation, TooManyScrapesAreRefused) {
  ListSource source({simulated(1, 5'000'000'000, 3, 2)});
  const auto model = make_constant_step_time(10);
  Summary summary;
  TimeSeries series(summary, 1, 1);
  const auto end = run_simulation(small_config(), source, *model, series);
  ASSERT_TRUE(end.has_value());
  const Status finished = series.finish(end->end_ns);
  ASSERT_FALSE(finished.has_value());
  EXPECT_THAT(finished.error().message, HasSubstr("--scrape-interval: got 1 ns for 5 s"));
}

TEST(Against, TellsWhatBecameBetterAndWhatDiffers) {
  const auto report_of = [](double ttft_s, double rate, double steps) {
    result::Report report;
    report.title = "simulate x";
    report.tables = {
        {.title = "Simulation",
         .columns = {"value"},
         .rows = {{"steps", "", {{"value", steps}}},
                  {"output rate", "tokens/s", {{"value", rate}}}}},
        {.title = "Latency", .columns = {"p95"}, .rows = {{"TTFT", "s", {{"p95", ttft_s}}}}},
        {.title = "Replicas", .rows = {{"busy", "s", {{"0", 1}}}}}};
    return report;
  };
  result::Report report = report_of(1.0, 110, 500);
  add_against(report_of(2.0, 100, 501), report);
  ASSERT_EQ(report.comparisons.size(), 1u);
  const std::vector<result::Comparison>& rows = report.comparisons[0].rows;
  ASSERT_EQ(rows.size(), 3u) << "replicas are not compared";
  using Change = result::Comparison::Change;
  EXPECT_EQ(rows[0].name, "steps");
  EXPECT_EQ(rows[0].change, Change::kSame);
  EXPECT_EQ(rows[1].change, Change::kBetter);
  EXPECT_EQ(rows[2].name, "TTFT p95");
  EXPECT_EQ(rows[2].baseline, 2.0);
  EXPECT_EQ(rows[2].change, Change::kBetter);
}

}  // namespace
}  // namespace touchstone::simulator
