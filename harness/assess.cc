#include "harness/assess.h"

#include <utility>

#include "base/version.h"
#include "conformance/evidence_reader.h"
#include "harness/evidence.h"
#include "harness/whole_run.h"

namespace touchstone::harness {
namespace {

using result::CheckOutcome;
using result::Verdict;

/// The files are those whose digests the run wrote down.
Result<CheckOutcome> unaltered(const records::RunFolder& run) {
  CheckOutcome check{.id = "input.unaltered",
                     .title = "The files are those that the run wrote",
                     .group = "input",
                     .level = result::Level::kMust,
                     .source = "sha256 digests in run.json",
                     .verdict = Verdict::kSkip,
                     .reason = "the folder has no run.json",
                     .examined = 0,
                     .findings = {}};
  if (!run.manifest) return check;
  const auto problems = records::altered_files(run);
  if (!problems) return problems.error();
  check.verdict = problems->empty() ? Verdict::kPass : Verdict::kFail;
  check.reason.clear();
  check.examined = static_cast<int64_t>(run.manifest->files.size());
  for (const std::string& problem : *problems) {
    result::Finding finding;
    finding.check_id = check.id;
    finding.level = check.level;
    finding.message = problem;
    finding.subject = problem.substr(0, problem.find(':'));
    finding.expected = "the file as the run wrote it";
    check.findings.push_back(std::move(finding));
  }
  return check;
}

/// A fault that was asked for and not injected leaves its question open.
CheckOutcome faults_injected(const records::RunManifest& run) {
  CheckOutcome check{.id = "load.faults_injected",
                     .title = "Every fault that was asked for was injected",
                     .group = "load",
                     .level = result::Level::kMust,
                     .source = "the suite",
                     .verdict = Verdict::kPass,
                     .reason = {},
                     .examined = static_cast<int64_t>(run.faults.size()),
                     .findings = {}};
  for (const records::RunFault& fault : run.faults) {
    if (fault.applied) continue;
    check.verdict = Verdict::kUnknown;
    check.reason += (check.reason.empty() ? "" : "; ") + fault.text + ": " + fault.problem;
  }
  return check;
}

void add_simulation(const records::RunFolder& run, const AssessOptions& options,
                    result::Report& report) {
  if (!run.has(records::run_files::kSteps)) {
    report.notes.push_back("no simulation beside the measurement: the subject wrote no step log");
    return;
  }
  const Status compared = options.simulate(run.path, report);
  if (compared) return;
  report.checks.push_back({.id = "simulation.comparable",
                           .title = "The run can be simulated",
                           .group = "simulation",
                           .level = result::Level::kMust,
                           .source = "docs/invariants.md, INV-9",
                           .verdict = Verdict::kUnknown,
                           .reason = compared.error().message,
                           .examined = 0,
                           .findings = {}});
}

/// What the manifest says of the run, where a reader of the report looks for it.
void add_manifest(const records::RunManifest& run, result::Report& report) {
  report.title = run.verb + " " + run.name;
  report.notes.insert(report.notes.begin(), run.notes.begin(), run.notes.end());
  for (const records::RunSample& sample : run.samples) {
    report.samples.push_back({sample.title, sample.prompt, sample.completion});
  }
  result::Provenance& provenance = report.provenance;
  provenance.seed = run.seed;
  for (const auto& [name, version] : run.versions) provenance.versions[name] = version;
  for (const auto& [name, digest] : run.digests) provenance.digests[name] = digest;
}

}  // namespace

Result<result::Report> assess(const records::RunFolder& run, const AssessOptions& options) {
  auto evidence = evidence_of_run(run, options.now_unix_ns);
  if (!evidence) return std::move(evidence).error();
  conformance::Judge judge(*evidence, options.profiles, options.judge);
  RETURN_IF_ERROR(read_run_spans(
      run, *evidence, [&](const telemetry::TraceBatch& batch) { return judge.add(batch); }));
  const int64_t spans = judge.spans();
  auto judged = judge.finish();
  if (!judged) return std::move(judged).error();
  result::Report& report = *judged;
  auto files = unaltered(run);
  if (!files) return std::move(files).error();
  report.checks.push_back(std::move(*files));
  if (run.manifest) report.checks.push_back(whole_run(run, *run.manifest, options.owed));
  if (run.manifest && !run.manifest->faults.empty()) {
    report.checks.push_back(faults_injected(*run.manifest));
  }
  report.checks.insert(report.checks.end(), options.more.begin(), options.more.end());
  report.provenance.tool_version = kVersion;
  report.title = "run " + run.path;
  if (run.manifest) add_manifest(*run.manifest, report);
  if (options.simulate) add_simulation(run, options, report);
  // Without a span nothing was decided, whatever the checks of the other signals found.
  if (spans > 0) {
    result::decide(report, options.judge.fail_on);
    report.summary = conformance::summary_of(report, spans);
  }
  return std::move(report);
}

}  // namespace touchstone::harness
