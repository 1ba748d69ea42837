#include "conformance/checks/check.h"

#include <algorithm>

#include "base/text.h"

namespace touchstone::conformance {
namespace {

using result::Finding;
using result::Verdict;

/// Cut to what a report can show, never inside a character.
std::string shortened(std::string text) {
  if (text.size() <= Recorder::kTextMax) return text;
  size_t end = Recorder::kTextMax;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  text.resize(end);
  return text + "…";
}

result::Location location_of(const std::string& where) {
  const size_t colon = where.rfind(':');
  const auto line = colon == std::string::npos
                        ? std::nullopt
                        : parse_int(std::string_view(where).substr(colon + 1));
  if (!line) return {.file = where, .line = 0};
  return {.file = where.substr(0, colon), .line = *line};
}

std::string violations(int64_t count) {
  return format_count(count) + (count == 1 ? " violation" : " violations");
}

}  // namespace

void Recorder::not_applicable(const std::string& reason) {
  if (!not_applicable_) not_applicable_ = reason;
}

void Recorder::undecided(const std::string& reason) {
  if (!undecided_) undecided_ = reason;
}

void Recorder::violation(Violation violation) {
  if (suppressor_ != nullptr) {
    if (const std::string* why = suppressor_->cover(outcome_.id, violation.subject)) {
      ++suppressed_;
      suppressed_because_ = *why;
      return;
    }
  }
  const bool has_place = !result::to_string(violation.place).empty();
  std::string key = std::to_string(static_cast<int>(violation.level)) + violation.fold;
  const auto known = folds_.find(key);
  if (known != folds_.end()) {
    Finding& finding = outcome_.findings[known->second];
    ++finding.count;
    if (has_place && finding.count <= kPlacesMax) finding.places.push_back(violation.place);
    return;
  }
  if (outcome_.findings.size() == kFindingsMax) {
    ++unlisted_;
    unlisted_level_ = std::min(unlisted_level_, violation.level);
    return;
  }
  folds_.emplace(std::move(key), outcome_.findings.size());
  Finding finding;
  finding.check_id = outcome_.id;
  finding.level = violation.level;
  finding.signal = std::move(violation.signal);
  finding.subject = shortened(std::move(violation.subject));
  finding.message = shortened(std::move(violation.message));
  finding.expected = shortened(std::move(violation.expected));
  finding.actual = shortened(std::move(violation.actual));
  for (auto& [name, text] : violation.context) finding.context[name] = shortened(std::move(text));
  if (has_place) finding.places.push_back(std::move(violation.place));
  if (!violation.rule.empty()) finding.rule = location_of(violation.rule);
  outcome_.findings.push_back(std::move(finding));
}

void Recorder::violation(const SpanView& view, Violation violation) {
  violation.place.trace_id = view.span->trace_id.hex();
  violation.place.span_id = view.span->span_id.hex();
  violation.context["span"] = view.span->name;
  if (violation.subject.empty()) violation.subject = "span " + view.span->name;
  this->violation(std::move(violation));
}

void Recorder::violation(const ObservedRun& run, const SpanRow& row, Violation violation) {
  violation.place.trace_id = row.trace.hex();
  violation.place.span_id = row.id.hex();
  violation.context["span"] = run.spans_by_id.name_of(row);
  if (violation.subject.empty()) violation.subject = "span " + run.spans_by_id.name_of(row);
  this->violation(std::move(violation));
}

void Recorder::finish() {
  if (unlisted_ > 0) {
    Finding finding;
    finding.check_id = outcome_.id;
    finding.level = unlisted_level_;
    finding.signal = outcome_.findings.front().signal;
    finding.subject = "findings beyond " + std::to_string(kFindingsMax);
    finding.message = violations(unlisted_) + " more, unlike the " + std::to_string(kFindingsMax) +
                      " that are listed";
    finding.count = unlisted_;
    outcome_.findings.push_back(std::move(finding));
  }
  const std::string hidden =
      suppressed_ == 0 ? "" : violations(suppressed_) + " suppressed: " + suppressed_because_;
  if (!outcome_.findings.empty()) {
    outcome_.verdict = Verdict::kFail;
    int64_t places = 0;
    result::Level strongest = result::Level::kMay;
    for (const Finding& finding : outcome_.findings) {
      places += finding.count;
      strongest = std::min(strongest, finding.level);
    }
    // The check is as strict as what it found: a SHOULD alone does not fail a MUST check.
    outcome_.level = strongest;
    outcome_.reason = summary_.empty() ? violations(places) : summary_;
    if (!hidden.empty()) outcome_.reason += "; " + hidden;
    return;
  }
  if (undecided_) {
    outcome_.verdict = Verdict::kUnknown;
    outcome_.reason = *undecided_;
  } else if (suppressed_ > 0) {
    outcome_.verdict = Verdict::kPass;
    outcome_.reason = hidden;
  } else if (outcome_.examined == 0) {
    outcome_.verdict = Verdict::kSkip;
    outcome_.reason = not_applicable_.value_or("nothing to examine");
  } else {
    outcome_.verdict = Verdict::kPass;
    outcome_.reason = summary_;
  }
}

}  // namespace touchstone::conformance
