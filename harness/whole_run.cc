#include "harness/whole_run.h"

#include <algorithm>

#include "base/text.h"
#include "harness/faults/fault.h"

namespace touchstone::harness {
namespace {

namespace run_files = records::run_files;

bool excused(const records::RunManifest& manifest, const std::string& file) {
  return std::any_of(manifest.missing.begin(), manifest.missing.end(),
                     [&](const records::RunMissing& missing) { return missing.file == file; });
}

bool was_killed(const records::RunManifest& manifest, const std::string& part) {
  return std::any_of(manifest.faults.begin(), manifest.faults.end(), [&](const auto& injected) {
    const auto fault = parse_fault(injected.text);
    return injected.applied && fault && fault->kind->ends_target && fault->target == part;
  });
}

}  // namespace

std::vector<std::string> owed_by_suite(const Suite& suite) {
  std::vector<std::string> files = {run_files::kSuite, run_files::kLedger,
                                    run_files::kCollectorMetrics};
  for (const SubjectPlan& subject : suite.subjects) {
    for (const char* file : {run_files::kServer, run_files::kMetricsBefore, run_files::kMetrics}) {
      files.push_back(records::file_of_subject(file, file_name_of(subject, suite)));
    }
  }
  return files;
}

std::vector<std::string> owed_by_load() {
  return {run_files::kServer, run_files::kMetricsBefore, run_files::kMetrics, run_files::kLedger};
}

result::CheckOutcome whole_run(const records::RunFolder& run, const records::RunManifest& manifest,
                               const std::vector<std::string>& owed) {
  std::vector<std::string> problems;
  for (const std::string& file : owed) {
    if (run.has(file) || excused(manifest, file)) continue;
    problems.push_back(file + ": is not there, and run.json does not say why");
  }
  if (manifest.collector_drained == false) {
    problems.emplace_back(
        "run.json: collector_drained: got false, expected true: spans that it "
        "held may be those that are missing");
  }
  for (const records::RunDeath& death : manifest.deaths) {
    if (was_killed(manifest, death.part)) continue;
    problems.push_back("run.json: deaths: " + death.part + " ended by itself with " + death.status);
  }
  return {.id = "input.whole",
          .title = "The run left all that it owes, and no part ended by itself",
          .group = "input",
          .level = result::Level::kMust,
          .source = "the suite and run.json",
          .verdict = problems.empty() ? result::Verdict::kPass : result::Verdict::kUnknown,
          .reason = join(problems, "; "),
          .examined = static_cast<int64_t>(owed.size()),
          .findings = {}};
}

}  // namespace touchstone::harness
