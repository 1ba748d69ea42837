#include "conformance/judge.h"

#include <algorithm>

#include "base/text.h"
#include "conformance/budgets.h"
#include "conformance/charts.h"
#include "conformance/checks/check.h"
#include "conformance/coverage.h"
#include "conformance/suppressions.h"

namespace touchstone::conformance {
namespace {

using result::CheckOutcome;
using result::Report;
using result::Verdict;

CheckOutcome run_check(const CheckRow& row, const CheckInput& input) {
  CheckOutcome outcome;
  outcome.id = row.id;
  outcome.title = row.title;
  outcome.group = row.group;
  outcome.level = row.level;
  outcome.source = row.source;
  Recorder recorder(outcome);
  row.run(input, recorder);
  recorder.finish();
  return outcome;
}

/// Everything about one profile. `several`: titles must tell profiles apart.
void judge_profile(const Evidence& evidence, const Profile& profile, const JudgeOptions& options,
                   const std::string& suffix, Report& report) {
  const SpanIndex index(evidence.spans, profile);
  std::optional<Matching> matching;
  if (evidence.ledger && profile.accounting) {
    matching = match_ledger(*evidence.ledger, index, profile);
  }
  const CheckInput input{
      .evidence = evidence, .profile = profile, .index = index, .matching = matching};
  for (const CheckRow& row : all_checks()) {
    CheckOutcome outcome = run_check(row, input);
    outcome.title += suffix;
    if (outcome.source.starts_with("the profile's")) {
      outcome.source = profile.convention + " " + profile.version + " (profile " + profile.name +
                       "): " + outcome.source;
    }
    for (result::Finding& finding : outcome.findings) finding.context["profile"] = profile.name;
    report.checks.push_back(std::move(outcome));
  }
  for (result::CoverageRow& row : attribute_coverage(index, profile)) {
    report.coverage.push_back(std::move(row));
  }
  report.provenance.versions["profile " + profile.name] = profile.version;
  // Phases and charts come from the first profile that knows what a request's span is.
  const bool has_requests = std::any_of(profile.spans.begin(), profile.spans.end(),
                                        [](const SpanType& type) { return type.is_request; });
  if (!has_requests || !report.waterfalls.empty()) return;
  for (const Budget& budget : options.budgets) {
    report.budgets.push_back(judge_budget(budget, phase_samples(index, profile, budget.phase)));
  }
  if (matching) report.tables = accounting_tables(*matching, index);
  if (auto table = latency_table(index, profile)) {
    table->detail = !report.budgets.empty();  // they show the same phases
    report.tables.push_back(*std::move(table));
  }
  report.charts = latency_charts(index, profile);
  report.waterfalls = example_waterfalls(index, profile, matching);
}

}  // namespace

int64_t span_count(const Evidence& evidence) {
  int64_t count = 0;
  for (const telemetry::TraceBatch& batch : evidence.spans) {
    for (const telemetry::ResourceSpans& resource : batch) {
      for (const telemetry::ScopeSpans& scope : resource.scope_spans) {
        count += static_cast<int64_t>(scope.spans.size());
      }
    }
  }
  return count;
}

std::string summary_of(const Report& report, int64_t spans) {
  int64_t counts[4] = {};
  int64_t warned = 0;
  for (const CheckOutcome& check : report.checks) {
    const bool warns = check.verdict == Verdict::kFail && !result::fails_report(check, report);
    ++(warns ? warned : counts[static_cast<int>(check.verdict)]);
  }
  const auto count = [&](Verdict verdict) { return counts[static_cast<int>(verdict)]; };
  if (spans == 0) return "no span was received: nothing can be said about the subject";
  std::string text = format_count(spans) + " spans: " + std::to_string(count(Verdict::kPass)) +
                     " checks passed, " + std::to_string(count(Verdict::kFail)) + " failed, " +
                     (warned > 0 ? std::to_string(warned) + " warned, " : std::string()) +
                     std::to_string(count(Verdict::kUnknown)) + " undecided, " +
                     std::to_string(count(Verdict::kSkip)) + " not applicable";
  int64_t failed_budgets = 0;
  for (const result::BudgetRow& budget : report.budgets) {
    failed_budgets += budget.verdict == Verdict::kFail;
  }
  if (failed_budgets > 0) text += ", " + std::to_string(failed_budgets) + " budgets exceeded";
  return text;
}

Report judge(const Evidence& evidence, const std::vector<Profile>& profiles,
             const JudgeOptions& options) {
  Report report;
  for (const Profile& profile : profiles) {
    const std::string suffix = profiles.size() > 1 ? " [" + profile.name + "]" : "";
    judge_profile(evidence, profile, options, suffix, report);
  }
  CheckOutcome suppressed =
      apply_suppressions(options.suppressions, evidence.now_unix_ns, report.checks, report.notes);
  report.checks.push_back(std::move(suppressed));
  if (!evidence.ledger) {
    report.notes.push_back("No ledger was given: completeness was not judged.");
  }
  if (!evidence.metrics) {
    report.notes.push_back("No metrics were given: agreement with counters was not judged.");
  }
  decide(report, options.fail_on);
  const int64_t spans = span_count(evidence);
  if (spans == 0) report.verdict = Verdict::kUnknown;
  report.summary = summary_of(report, spans);
  return report;
}

}  // namespace touchstone::conformance
