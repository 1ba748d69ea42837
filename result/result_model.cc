#include "result/result_model.h"

#include <cmath>

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

std::string coverage_word(int64_t present, int64_t total) {
  if (total == 0) return "NO SPAN";
  if (present == total) return "PASS";
  if (present == 0) return "MISSING";
  return "PARTIAL " + std::to_string(present) + "/" + std::to_string(total);
}

const char* to_string(Chart::Kind kind) {
  switch (kind) {
    case Chart::Kind::kLine:
      return "line";
    case Chart::Kind::kStep:
      return "step";
    case Chart::Kind::kCdf:
      return "cdf";
  }
  return "line";
}

const char* to_string(Comparison::Better better) {
  switch (better) {
    case Comparison::Better::kLower:
      return "lower";
    case Comparison::Better::kHigher:
      return "higher";
    case Comparison::Better::kEqual:
      return "equal";
  }
  return "lower";
}

const char* to_string(Comparison::Change change) {
  switch (change) {
    case Comparison::Change::kBetter:
      return "better";
    case Comparison::Change::kSame:
      return "same";
    case Comparison::Change::kWorse:
      return "worse";
    case Comparison::Change::kUnknown:
      return "unknown";
  }
  return "unknown";
}

std::string to_string(const Location& location) {
  return location.line > 0 ? location.file + ":" + std::to_string(location.line) : location.file;
}

std::string to_string(const Place& place) {
  if (!place.span_id.empty()) return place.trace_id + "/" + place.span_id;
  if (!place.request.empty()) return place.request;
  if (!place.trace_id.empty()) return place.trace_id;
  return to_string(place.input);
}

Comparison compare(Comparison figures, double tolerance) {
  figures.difference.reset();
  figures.change = Comparison::Change::kUnknown;
  if (!(std::abs(figures.baseline) > 0) || !std::isfinite(figures.baseline) ||
      !std::isfinite(figures.value)) {
    return figures;
  }
  figures.difference = figures.value / figures.baseline - 1;
  const double low = figures.interval ? figures.interval->low : *figures.difference;
  const double high = figures.interval ? figures.interval->high : *figures.difference;
  if (low >= -tolerance && high <= tolerance) {
    figures.change = Comparison::Change::kSame;
  } else if (low > tolerance || high < -tolerance) {
    const bool wanted = figures.better == (low > tolerance ? Comparison::Better::kHigher
                                                           : Comparison::Better::kLower);
    figures.change = wanted ? Comparison::Change::kBetter : Comparison::Change::kWorse;
  }
  return figures;
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
