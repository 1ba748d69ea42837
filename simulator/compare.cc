#include "simulator/compare.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/statistics.h"
#include "base/text.h"
#include "simulator/logs.h"
#include "simulator/measured_run.h"
#include "simulator/replay.h"
#include "simulator/simulation.h"
#include "simulator/sources.h"

namespace touchstone::simulator {
namespace {

using records::StepRecord;

constexpr size_t kMaxChartPoints = 1000;

/// One column of the table: what happened, measured or simulated. Times from the first arrival.
struct Column {
  std::string name;
  std::vector<records::StepRecord> steps;
  std::vector<records::RequestRecord> requests;

  int64_t origin_ns() const {
    std::optional<int64_t> first;
    for (const records::RequestRecord& r : requests) {
      first = std::min(first.value_or(r.arrival_ns), r.arrival_ns);
    }
    return first.value_or(0);
  }
};

/// Keeps everything; for runs of a size that a report shows.
class ColumnObserver final : public Observer {
 public:
  explicit ColumnObserver(Column& column) : column_(column) {}
  void on_step(const StepView& step) override { column_.steps.push_back(step_record(step)); }
  void on_request(int32_t, const records::RequestRecord& request) override {
    column_.requests.push_back(request);
  }

 private:
  Column& column_;
};

Column measured_column(const MeasuredRun& run) {
  Column column{.name = "measured"};
  for (const records::StepRecord& step : run.log.steps) {
    if (!step.requests.empty()) column.steps.push_back(step);
  }
  for (const records::RequestRecord& r : run.records) {
    if (r.queued_ns) column.requests.push_back(r);  // else refused before the scheduler saw it
  }
  return column;
}

std::vector<double> ttft_s(const Column& column) {
  std::vector<double> values;
  for (const records::RequestRecord& r : column.requests) {
    if (r.first_token_ns) values.push_back(to_seconds(*r.first_token_ns - r.arrival_ns));
  }
  return values;
}

std::vector<double> e2e_s(const Column& column) {
  std::vector<double> values;
  for (const records::RequestRecord& r : column.requests) {
    const bool whole =
        r.outcome == records::Outcome::kStop || r.outcome == records::Outcome::kLength;
    if (whole) values.push_back(to_seconds(r.finished_ns - r.arrival_ns));
  }
  return values;
}

double total(const Column& column, int64_t (*of)(const records::StepRecord&)) {
  int64_t sum = 0;
  for (const records::StepRecord& step : column.steps) sum += of(step);
  return static_cast<double>(sum);
}

double peak_blocks(const Column& column, int64_t num_blocks) {
  int64_t peak = 0;
  for (const records::StepRecord& step : column.steps) {
    peak = std::max(peak, num_blocks - 1 - step.free_blocks);
  }
  return static_cast<double>(peak);
}

double cached_tokens(const Column& column) {
  int64_t sum = 0;
  for (const records::RequestRecord& r : column.requests) sum += r.cached_tokens;
  return static_cast<double>(sum);
}

double makespan_s(const Column& column) {
  int64_t last_ns = column.origin_ns();
  for (const records::RequestRecord& r : column.requests)
    last_ns = std::max(last_ns, r.finished_ns);
  return to_seconds(last_ns - column.origin_ns());
}

double quantile_or_zero(const std::vector<double>& values, double q) {
  return values.empty() ? 0 : quantile(values, q);
}

result::FigureTable table_of(const std::vector<Column>& columns, int64_t num_blocks) {
  result::FigureTable table{.title = "Measured beside simulated"};
  for (const Column& column : columns) table.columns.push_back(column.name);
  const auto row = [&](const char* name, const char* unit,
                       const std::function<double(const Column&)>& value) {
    result::Figure figure{.name = name, .unit = unit};
    for (const Column& column : columns) figure.values.emplace_back(column.name, value(column));
    table.rows.push_back(std::move(figure));
  };
  row("steps", "", [](const Column& c) { return static_cast<double>(c.steps.size()); });
  row("preemptions", "", [](const Column& c) {
    return total(
        c, [](const records::StepRecord& s) { return static_cast<int64_t>(s.preempted.size()); });
  });
  row("peak KV blocks", "blocks", [&](const Column& c) { return peak_blocks(c, num_blocks); });
  row("prefix-hit tokens", "tokens", cached_tokens);
  row("TTFT p50", "s", [](const Column& c) { return quantile_or_zero(ttft_s(c), 0.5); });
  row("TTFT p95", "s", [](const Column& c) { return quantile_or_zero(ttft_s(c), 0.95); });
  row("e2e p50", "s", [](const Column& c) { return quantile_or_zero(e2e_s(c), 0.5); });
  row("e2e p95", "s", [](const Column& c) { return quantile_or_zero(e2e_s(c), 0.95); });
  row("makespan", "s", makespan_s);
  return table;
}

result::Chart chart_over_time(const std::vector<Column>& columns, const char* title,
                              const char* y_label,
                              const std::function<double(const records::StepRecord&)>& value) {
  result::Chart chart{.title = title,
                      .kind = result::Chart::Kind::kStep,
                      .x_label = "seconds from the first arrival",
                      .y_label = y_label};
  for (const Column& column : columns) {
    result::Series series{.name = column.name};
    const int64_t origin_ns = column.origin_ns();
    const size_t stride = column.steps.size() / kMaxChartPoints + 1;
    for (size_t i = 0; i < column.steps.size(); i += stride) {
      series.x.push_back(to_seconds(column.steps[i].start_ns - origin_ns));
      series.y.push_back(value(column.steps[i]));
    }
    chart.series.push_back(std::move(series));
  }
  return chart;
}

result::Chart cdf(const std::vector<Column>& columns, const char* title,
                  std::vector<double> (*values_of)(const Column&)) {
  result::Chart chart{.title = title,
                      .kind = result::Chart::Kind::kCdf,
                      .x_label = "seconds",
                      .y_label = "share of requests"};
  for (const Column& column : columns) {
    result::Series series{.name = column.name, .x = values_of(column)};
    std::sort(series.x.begin(), series.x.end());
    for (size_t i = 0; i < series.x.size(); ++i) {
      series.y.push_back(static_cast<double>(i + 1) / static_cast<double>(series.x.size()));
    }
    chart.series.push_back(std::move(series));
  }
  return chart;
}

result::CheckOutcome parity_check(const Replay& replay, size_t logged_steps) {
  result::CheckOutcome check{
      .id = "simulation.schedule_parity",
      .title = "The simulator's scheduler decides as the engine did, step for step",
      .group = "simulation",
      .level = result::Level::kMust,
      .source = "docs/invariants.md, INV-9",
      .verdict = result::Verdict::kPass,
      .examined = std::ssize(replay.steps)};
  if (logged_steps == 0) {
    check.verdict = result::Verdict::kUnknown;
    check.reason = "the step log has no step";
    return check;
  }
  if (!replay.difference) {
    check.reason = format_count(std::ssize(replay.steps)) + " steps identical";
    return check;
  }
  const records::ScheduleDifference& d = *replay.difference;
  check.verdict = result::Verdict::kFail;
  check.reason = "first difference in step " + std::to_string(d.step);
  result::Finding finding{.check_id = check.id,
                          .level = check.level,
                          .signal = "log",
                          .subject = "step " + std::to_string(d.step) +
                                     (d.request ? ", request " + std::to_string(*d.request) : "") +
                                     ": " + d.what,
                          .message = "The replay must give the logged schedule: " + d.what +
                                     " logged " + d.before + ", replayed " + d.after + ".",
                          .expected = d.before,
                          .actual = d.after,
                          .context = {{"file", "steps.jsonl"}, {"step", std::to_string(d.step)}}};
  if (d.request)
    finding.places.push_back(
        {.trace_id = "", .span_id = "", .request = std::to_string(*d.request), .input = {}});
  check.findings.push_back(std::move(finding));
  return check;
}

std::string percent(double ratio) {
  const std::string text = format_fixed(100 * ratio, 1);
  return (text == "-0.0" ? "0.0" : text) + " %";
}

/// Simulates the same requests with a fitted model; what it says about the fit goes to `notes`.
Result<std::optional<Column>> simulate_fitted(const MeasuredRun& run,
                                              std::vector<std::string>& notes) {
  const std::vector<StepSample> samples = step_samples(run.log);
  const Result<StepTimeFit> fit = fit_step_times(samples);
  if (!fit) {
    notes.push_back("no fitted simulation: " + fit.error().message);
    return std::optional<Column>();
  }
  const std::unique_ptr<StepTimeModel> model = make_fitted_step_time(*fit);
  notes.push_back("step time " + model->describe());
  notes.push_back("held out: total time " + percent(fit->held_out_total_error) + ", median step " +
                  percent(fit->held_out_median_error) + " off, over " + format_count(fit->samples) +
                  " steps in five folds");
  if (!fit->unidentified.empty()) {
    notes.push_back("not identified by this run, so left out: " + join(fit->unidentified, ", "));
  }
  Column column{.name = "fitted"};
  ColumnObserver observer(column);
  const std::unique_ptr<RequestSource> source = make_record_source(run.records);
  const auto end = run_simulation(run.config, *source, *model, observer);
  if (!end) return end.error();
  return std::optional<Column>(std::move(column));
}

}  // namespace

Status add_comparison(const std::string& run_folder, result::Report& report) {
  const Result<MeasuredRun> run = read_measured_run(run_folder);
  if (!run) return run.error();
  std::vector<Column> columns;
  columns.push_back(measured_column(*run));
  const size_t logged_steps = columns[0].steps.size();

  Result<Replay> replay = replay_step_log(run->log, run->records);
  if (!replay) return std::move(replay).error().with_context(run_folder);
  report.checks.push_back(parity_check(*replay, logged_steps));
  columns.push_back({"recorded", std::move(replay->steps), std::move(replay->requests)});

  std::vector<std::string> notes = {
      "recorded: the engine's step log replayed with its own step times; fitted: the same "
      "requests with step times fitted from the log"};
  if (replay->difference) notes.push_back("recorded ends where the schedules part");
  Result<std::optional<Column>> fitted = simulate_fitted(*run, notes);
  if (!fitted) return std::move(fitted).error().with_context(run_folder);
  if (*fitted) columns.push_back(std::move(**fitted));

  report.tables.push_back(table_of(columns, run->config.num_blocks));
  report.tables.back().notes = notes;
  // Recorded step times give the measured curve again: the charts show what was predicted.
  std::erase_if(columns, [](const Column& c) { return c.name == "recorded"; });
  const double total_blocks = static_cast<double>(run->config.num_blocks - 1);
  report.charts.push_back(chart_over_time(
      columns, "KV cache use", "share of blocks", [&](const records::StepRecord& s) {
        return 1 - static_cast<double>(s.free_blocks) / total_blocks;
      }));
  report.charts.push_back(
      chart_over_time(columns, "Running requests", "requests",
                      [](const records::StepRecord& s) { return static_cast<double>(s.running); }));
  report.charts.push_back(
      chart_over_time(columns, "Waiting requests", "requests",
                      [](const records::StepRecord& s) { return static_cast<double>(s.waiting); }));
  report.charts.push_back(cdf(columns, "Time to first token", ttft_s));
  report.charts.push_back(cdf(columns, "End-to-end time", e2e_s));
  return {};
}

}  // namespace touchstone::simulator
