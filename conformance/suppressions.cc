#include "conformance/suppressions.h"

#include <algorithm>

#include "base/text.h"
#include "conformance/checks/check.h"

namespace touchstone::conformance {
namespace {

using result::CheckOutcome;
using result::Finding;
using result::Verdict;

bool covers(const Suppression& suppression, const CheckOutcome& check, const Finding& finding) {
  return check.id.starts_with(suppression.check_id) &&
         finding.subject.find(suppression.subject) != std::string::npos;
}

std::string name_of(const Suppression& suppression) {
  std::string name = "suppression of " + suppression.check_id;
  if (!suppression.subject.empty()) name += " for " + quote(suppression.subject);
  return name;
}

/// Removes what the suppression covers; how many places that were.
int64_t remove_covered(const Suppression& suppression, std::vector<CheckOutcome>& checks) {
  int64_t removed = 0;
  for (CheckOutcome& check : checks) {
    const auto kept = std::stable_partition(
        check.findings.begin(), check.findings.end(),
        [&](const Finding& finding) { return !covers(suppression, check, finding); });
    if (kept == check.findings.end()) continue;
    for (auto finding = kept; finding != check.findings.end(); ++finding) {
      removed += finding->count;
    }
    check.findings.erase(kept, check.findings.end());
    check.reason = "suppressed: " + suppression.reason;
    if (check.findings.empty()) check.verdict = Verdict::kPass;
  }
  return removed;
}

Violation about(const Suppression& suppression, const std::string& message,
                const std::string& expected, const std::string& actual) {
  return {.level = result::Level::kMust,
          .fold = suppression.where + suppression.check_id + suppression.subject + message,
          .signal = "suite",
          .subject = name_of(suppression),
          .message = message,
          .expected = expected,
          .actual = actual,
          .context = {{"where", suppression.where}, {"reason", suppression.reason}}};
}

}  // namespace

CheckOutcome apply_suppressions(const std::vector<Suppression>& suppressions, int64_t now_unix_ns,
                                std::vector<CheckOutcome>& checks,
                                std::vector<std::string>& notes) {
  CheckOutcome outcome;
  outcome.id = "suppression.needed";
  outcome.title = "Every suppression is still needed";
  outcome.group = "suite";
  outcome.level = result::Level::kMust;
  outcome.source = "Touchstone 0.1: a deviation that no longer occurs must not stay suppressed.";
  Recorder recorder(outcome);
  recorder.not_applicable("no suppressions");
  for (const Suppression& suppression : suppressions) {
    recorder.examined();
    if (suppression.expires_unix_ns && now_unix_ns > *suppression.expires_unix_ns) {
      recorder.violation(
          about(suppression,
                name_of(suppression) + " expired on " + format_utc(*suppression.expires_unix_ns) +
                    " and suppresses nothing any more",
                "an expiry in the future", format_utc(*suppression.expires_unix_ns)));
      continue;
    }
    const int64_t removed = remove_covered(suppression, checks);
    if (removed == 0) {
      recorder.violation(about(suppression,
                               name_of(suppression) +
                                   " is no longer needed: no finding matches it (its reason was: " +
                                   suppression.reason + ")",
                               "a finding to suppress", "none"));
      continue;
    }
    notes.push_back(name_of(suppression) + " hides " + format_count(removed) +
                    (removed == 1 ? " violation: " : " violations: ") + suppression.reason);
  }
  recorder.finish();
  return outcome;
}

}  // namespace touchstone::conformance
