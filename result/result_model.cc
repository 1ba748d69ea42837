#include "result/result_model.h"

namespace touchstone::result {
namespace {

int severity(Verdict verdict) {
  switch (verdict) {
    case Verdict::kSkip:
      return 0;
    case Verdict::kPass:
      return 1;
    case Verdict::kUnknown:
      return 2;
    case Verdict::kFail:
      return 3;
  }
  return 2;
}

}  // namespace

const char* to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::kPass:
      return "pass";
    case Verdict::kFail:
      return "fail";
    case Verdict::kUnknown:
      return "unknown";
    case Verdict::kSkip:
      return "skip";
  }
  return "unknown";
}

const char* to_string(Level level) {
  switch (level) {
    case Level::kMust:
      return "MUST";
    case Level::kShould:
      return "SHOULD";
    case Level::kMay:
      return "MAY";
  }
  return "MUST";
}

Verdict combine(Verdict a, Verdict b) { return severity(a) >= severity(b) ? a : b; }

void decide(Report& report, Level fail_on) {
  report.fail_on = fail_on;
  Verdict verdict = Verdict::kSkip;
  for (const CheckOutcome& check : report.checks) {
    const bool warns = check.verdict == Verdict::kFail && !fails_report(check, report);
    verdict = combine(verdict, warns ? Verdict::kPass : check.verdict);
  }
  for (const BudgetRow& budget : report.budgets) {
    verdict = combine(verdict, budget.verdict);
  }
  report.verdict = verdict == Verdict::kSkip ? Verdict::kUnknown : verdict;
}

bool fails_report(const CheckOutcome& check, const Report& report) {
  return check.verdict == Verdict::kFail &&
         static_cast<int>(check.level) <= static_cast<int>(report.fail_on);
}

int exit_code(const Report& report) {
  switch (report.verdict) {
    case Verdict::kPass:
      return 0;
    case Verdict::kFail:
      return 1;
    default:
      return 3;
  }
}

}  // namespace touchstone::result
