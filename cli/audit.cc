#include "cli/audit.h"

#include <memory>
#include <vector>

#include "base/clock.h"
#include "base/files.h"
#include "base/sha256.h"
#include "base/text.h"
#include "base/version.h"
#include "cli/output.h"
#include "conformance/judge.h"
#include "telemetry/otlp/file.h"

namespace touchstone::cli {
namespace {

struct Flags {
  std::vector<std::string> files;
  std::vector<std::string> profiles = {"vllm-v1"};
  std::string ledger;
  std::string metrics;
  std::string metrics_before;
  std::string collector_metrics;
  std::string fail_on = "must";
  std::string format = "text";
  std::string output;
};

result::Level level_of(const std::string& word) {
  return word == "must"     ? result::Level::kMust
         : word == "should" ? result::Level::kShould
                            : result::Level::kMay;
}

std::string command_of(const Flags& flags) {
  std::string command = "touchstone audit";
  const auto add = [&](const char* flag, const std::string& value) {
    if (!value.empty()) command += std::string(" ") + flag + " " + shell_word(value);
  };
  for (const std::string& file : flags.files) add("--file", file);
  for (const std::string& profile : flags.profiles) add("--profile", profile);
  add("--ledger", flags.ledger);
  add("--metrics", flags.metrics);
  add("--metrics-before", flags.metrics_before);
  add("--collector-metrics", flags.collector_metrics);
  if (flags.fail_on != "must") add("--fail-on", flags.fail_on);
  return command;
}

Status add_spans(const std::string& path, conformance::Evidence& evidence,
                 std::vector<std::string>& notes) {
  auto file = telemetry::read_otlp_file(path);
  if (!file) return std::move(file).error();
  evidence.spans.push_back(std::move(file->batch));
  const telemetry::OtlpFileSummary& summary = file->summary;
  const auto listed = static_cast<int64_t>(summary.problems.size());
  evidence.span_problems.insert(evidence.span_problems.end(), summary.problems.begin(),
                                summary.problems.end());
  if (summary.problem_count > listed) {
    evidence.span_problems.push_back(
        path + ": and " + format_count(summary.problem_count - listed) + " more problems");
  }
  if (summary.other_signal_lines > 0) {
    notes.push_back(path + ": " + format_count(summary.other_signal_lines) +
                    " lines hold metrics or logs and were not judged");
  }
  return {};
}

Status read_metrics(const std::string& path, std::optional<telemetry::MetricsPage>& page) {
  if (path.empty()) return {};
  const Result<std::string> text = read_file(path);
  if (!text) return text.error();
  auto parsed = telemetry::parse_prometheus_text(path, *text);
  if (!parsed) return std::move(parsed).error();
  page = *std::move(parsed);
  return {};
}

struct Inputs {
  conformance::Evidence evidence;
  std::vector<conformance::Profile> profiles;
  std::vector<std::string> notes;
};

Result<Inputs> read_inputs(const Flags& flags) {
  Inputs inputs;
  for (const std::string& name : flags.profiles) {
    auto profile = conformance::load_profile(name);
    if (!profile) return std::move(profile).error();
    inputs.profiles.push_back(*std::move(profile));
  }
  for (const std::string& file : flags.files) {
    RETURN_IF_ERROR(add_spans(file, inputs.evidence, inputs.notes));
  }
  if (!flags.ledger.empty()) {
    auto ledger = records::read_ledger(flags.ledger);
    if (!ledger) return std::move(ledger).error();
    inputs.evidence.ledger = *std::move(ledger);
  }
  RETURN_IF_ERROR(read_metrics(flags.metrics, inputs.evidence.metrics));
  RETURN_IF_ERROR(read_metrics(flags.metrics_before, inputs.evidence.metrics_before));
  RETURN_IF_ERROR(read_metrics(flags.collector_metrics, inputs.evidence.collector_metrics));
  inputs.evidence.now_unix_ns = RealClock().unix_ns();
  return inputs;
}

Status add_digest(const std::string& path, result::Provenance& provenance) {
  if (path.empty()) return {};
  const Result<std::string> content = read_file(path);
  if (!content) return content.error();
  provenance.digests[path] = sha256_hex(*content);
  return {};
}

Exit run(const Flags& flags) {
  const Result<Inputs> inputs = read_inputs(flags);
  if (!inputs) return report_error(inputs.error());
  result::Report report =
      conformance::judge(inputs->evidence, inputs->profiles,
                         {.budgets = {}, .suppressions = {}, .fail_on = level_of(flags.fail_on)});
  report.title = "audit " + join(flags.files, " ");
  report.notes.insert(report.notes.end(), inputs->notes.begin(), inputs->notes.end());
  report.provenance.tool_version = kVersion;
  report.provenance.command = command_of(flags);
  std::vector<std::string> read = flags.files;
  read.insert(read.end(),
              {flags.ledger, flags.metrics, flags.metrics_before, flags.collector_metrics});
  for (const std::string& path : read) {
    const Status added = add_digest(path, report.provenance);
    if (!added) return report_error(added.error());
  }
  return finish_report(report, reports::format_of(flags.format), flags.output);
}

}  // namespace

Verb audit_verb() {
  return {
      .name = "audit",
      .summary = "Judge recorded spans against a profile, with a ledger and metrics if given",
      .example = "touchstone audit --file spans.jsonl --profile vllm-v1 --ledger requests.jsonl",
      .setup = [](CLI::App& app) {
        auto flags = std::make_shared<Flags>();
        app.add_option("--file", flags->files,
                       "Spans: OTLP JSON lines, plain, .gz or .zst; may be repeated")
            ->required()
            ->type_name("FILE");
        app.add_option("--profile", flags->profiles,
                       "Name (`touchstone profile list`) or path of a profile; may be repeated")
            ->capture_default_str();
        app.add_option("--ledger", flags->ledger, "What the clients sent: requests.jsonl")
            ->type_name("FILE");
        app.add_option("--metrics", flags->metrics, "The subject's /metrics after the load")
            ->type_name("FILE");
        app.add_option("--metrics-before", flags->metrics_before, "The same before the load")
            ->type_name("FILE");
        app.add_option("--collector-metrics", flags->collector_metrics,
                       "The Collector's own metrics at the end")
            ->type_name("FILE");
        app.add_option("--fail-on", flags->fail_on, "Weakest level that fails the audit")
            ->transform(CLI::IsMember({"must", "should", "may"}, CLI::ignore_case))
            ->capture_default_str();
        app.add_option("--format", flags->format, "What to print on stdout")
            ->check(CLI::IsMember(reports::format_words()))
            ->capture_default_str();
        app.add_option("--output", flags->output,
                       "Also write report.html, report.json and junit.xml here")
            ->type_name("DIR");
        return [flags] { return run(*flags); };
      }};
}

}  // namespace touchstone::cli
