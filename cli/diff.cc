#include "cli/diff.h"

#include <filesystem>
#include <memory>
#include <tuple>

#include "base/json_text.h"
#include "cli/output.h"
#include "records/run_folder.h"
#include "records/schedule_difference.h"

namespace touchstone::cli {
namespace {

using records::LogComparison;
using records::ScheduleDifference;

struct Flags {
  std::string before;
  std::string after;
  std::string format = "text";
};

/// A log, or the folder of a run that has one.
Result<records::StepLog> read_log(const std::string& path) {
  std::error_code error;
  const bool folder = std::filesystem::is_directory(path, error);
  return records::read_step_log(folder ? path + "/" + records::run_files::kSteps : path);
}

std::string arrow(const ScheduleDifference& difference) {
  return difference.what + ": " + difference.before + " -> " + difference.after + "\n";
}

std::string text_of(const LogComparison& comparison) {
  std::string text;
  for (const ScheduleDifference& field : comparison.config) text += "config: " + arrow(field);
  text += std::to_string(comparison.equal_steps) + " of " +
          std::to_string(comparison.before.steps) + " steps equal from the first on\n";
  if (comparison.schedule) {
    const ScheduleDifference& first = *comparison.schedule;
    text += "step " + std::to_string(first.step) + ": " +
            (first.request ? "request " + std::to_string(*first.request) + ": " : "") +
            arrow(first);
  }
  const auto& [a, b] = std::tie(comparison.before, comparison.after);
  const std::tuple<const char*, int64_t, int64_t> totals[] = {
      {"steps", a.steps, b.steps},
      {"scheduled tokens", a.scheduled_tokens, b.scheduled_tokens},
      {"prefix-cache hit tokens", a.cached_tokens, b.cached_tokens},
      {"preemptions", a.preemptions, b.preemptions},
      {"finished requests", a.finished, b.finished},
      {"busy ms", a.busy_ns / 1'000'000, b.busy_ns / 1'000'000}};
  for (const auto& [what, x, y] : totals) {
    text += std::string("total ") + what + ": " + std::to_string(x) +
            (x == y ? "" : " -> " + std::to_string(y)) + "\n";
  }
  return text;
}

void write_difference(JsonText& json, const ScheduleDifference& difference) {
  json.key("what").string(difference.what);
  json.key("before").string(difference.before);
  json.key("after").string(difference.after).end_object();
}

void write_totals(JsonText& json, const char* name, const records::ScheduleTotals& totals) {
  json.key(name).begin_object();
  json.key("steps").integer(totals.steps);
  json.key("scheduled_tokens").integer(totals.scheduled_tokens);
  json.key("cached_tokens").integer(totals.cached_tokens);
  json.key("preemptions").integer(totals.preemptions);
  json.key("finished").integer(totals.finished);
  json.key("busy_ns").integer(totals.busy_ns).end_object();
}

std::string json_of(const LogComparison& comparison) {
  std::string text;
  JsonText json(text);
  json.begin_object();
  json.key("equal").boolean(comparison.equal());
  json.key("equal_steps").integer(comparison.equal_steps);
  json.key("config").begin_array();
  for (const ScheduleDifference& field : comparison.config) {
    json.begin_object();
    write_difference(json, field);
  }
  json.end_array();
  if (comparison.schedule) {
    json.key("schedule").begin_object();
    json.key("step").integer(comparison.schedule->step);
    if (comparison.schedule->request) {
      json.key("request").unsigned_integer(*comparison.schedule->request);
    }
    write_difference(json, *comparison.schedule);
  }
  write_totals(json, "before", comparison.before);
  write_totals(json, "after", comparison.after);
  json.end_object();
  return text + "\n";
}

/// Exit 1 when they differ, as diff(1).
Exit run(const Flags& flags) {
  const auto before = read_log(flags.before);
  if (!before) return report_error(before.error());
  const auto after = read_log(flags.after);
  if (!after) return report_error(after.error());
  const LogComparison comparison = records::compare_logs(*before, *after);
  if (comparison.before.steps + comparison.after.steps == 0) {
    return report_error(
        unavailable("diff steps: got two logs without a step, expected a schedule"));
  }
  const Status printed = print(flags.format == "json" ? json_of(comparison) : text_of(comparison));
  if (!printed) return report_error(printed.error());
  return comparison.equal() ? Exit::kGood : Exit::kFindings;
}

}  // namespace

Verb diff_verb() {
  return {
      .name = "diff",
      .summary = "Say where the schedules of two runs part",
      .example = "touchstone diff steps run-before run-after",
      .setup = [](CLI::App& app) {
        auto flags = std::make_shared<Flags>();
        app.require_subcommand(1);
        CLI::App* steps = app.add_subcommand(
            "steps",
            "Two step logs, decision by decision; times are totalled, not compared. Exit 1 when "
            "they differ");
        steps->footer("Example:\n  touchstone diff steps run-before run-after");
        steps->add_option("BEFORE", flags->before, "A steps.jsonl, or a run folder")->required();
        steps->add_option("AFTER", flags->after, "A steps.jsonl, or a run folder")->required();
        steps->add_option("--format", flags->format, "text or json")
            ->check(CLI::IsMember({"text", "json"}))
            ->capture_default_str();
        return [flags] { return run(*flags); };
      }};
}

}  // namespace touchstone::cli
