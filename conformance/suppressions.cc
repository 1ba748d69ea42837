#include "conformance/suppressions.h"

#include "base/text.h"
#include "conformance/checks/check.h"

namespace touchstone::conformance {
namespace {

/// "span" covers "span.kind", not "spans.kind".
bool covers_id(const std::string& pattern, const std::string& id) {
  return id == pattern || (!pattern.empty() && id.starts_with(pattern + "."));
}

std::string name_of(const Suppression& suppression) {
  std::string name = "suppression of " + suppression.check_id;
  if (!suppression.subject.empty()) name += " for " + quote(suppression.subject);
  return name;
}

std::string violations(int64_t count) {
  return format_count(count) + (count == 1 ? " violation" : " violations");
}

void add_finding(const Suppression& suppression, const std::string& problem,
                 const std::string& expected, const std::string& actual, Recorder& recorder) {
  recorder.violation({.fold = suppression.where + suppression.check_id + suppression.subject,
                      .signal = "suite",
                      .subject = name_of(suppression),
                      .message = name_of(suppression) + " " + problem,
                      .expected = expected,
                      .actual = actual,
                      .context = {{"where", suppression.where}, {"reason", suppression.reason}},
                      .rule = suppression.where});
}

}  // namespace

bool names_checks(const std::string& check_id) {
  for (const CheckRow& row : all_checks()) {
    if (covers_id(check_id, row.id)) return true;
  }
  return false;
}

Suppressor::Suppressor(const std::vector<Suppression>& suppressions, int64_t now_unix_ns) {
  for (const Suppression& suppression : suppressions) {
    uses_.push_back({&suppression, now_unix_ns > suppression.expires_unix_ns});
  }
}

const std::string* Suppressor::cover(const std::string& check_id, const std::string& subject) {
  for (Use& use : uses_) {
    if (use.expired || !covers_id(use.suppression->check_id, check_id)) continue;
    if (subject.find(use.suppression->subject) == std::string::npos) continue;
    ++use.count;
    return &use.suppression->reason;
  }
  return nullptr;
}

result::CheckOutcome Suppressor::finish(std::vector<std::string>& notes) const {
  result::CheckOutcome outcome;
  outcome.id = kCheckId;
  outcome.title = "Every suppression is still needed";
  outcome.group = "suite";
  outcome.level = result::Level::kMust;
  outcome.source = "Touchstone 0.1: a deviation that no longer occurs must not stay suppressed.";
  Recorder recorder(outcome, nullptr);
  recorder.not_applicable("no suppressions");
  for (const Use& use : uses_) {
    const Suppression& suppression = *use.suppression;
    recorder.examined();
    if (use.expired) {
      const std::string date = format_utc(suppression.expires_unix_ns);
      add_finding(suppression, "expired on " + date + " and suppresses nothing any more",
                  "an expiry in the future", date, recorder);
    } else if (!names_checks(suppression.check_id)) {
      add_finding(suppression, "names no check", "the id of a check, or a dotted prefix of ids",
                  quote(suppression.check_id), recorder);
    } else if (use.count == 0) {
      add_finding(
          suppression,
          "is no longer needed: no finding matches it (its reason was: " + suppression.reason + ")",
          "a finding to suppress", "none", recorder);
    } else if (suppression.at_most && use.count > *suppression.at_most) {
      add_finding(suppression, "hides " + violations(use.count) + ", more than it accepts",
                  "at most " + format_count(*suppression.at_most), format_count(use.count),
                  recorder);
    }
    if (use.count > 0) {
      notes.push_back(name_of(suppression) + " hides " + violations(use.count) + ": " +
                      suppression.reason);
    }
  }
  recorder.finish();
  return outcome;
}

}  // namespace touchstone::conformance
