#include "conformance/checks/check.h"

#include <algorithm>

#include "base/text.h"

namespace touchstone::conformance {

using result::Finding;
using result::Verdict;

void Recorder::not_applicable(const std::string& reason) {
  if (!not_applicable_) not_applicable_ = reason;
}

void Recorder::undecided(const std::string& reason) {
  if (!undecided_) undecided_ = reason;
}

void Recorder::violation(Violation violation) {
  const bool has_place = !result::to_string(violation.place).empty();
  const std::pair<int, std::string> key(static_cast<int>(violation.level), violation.fold);
  const auto [fold, is_new] = folds_.try_emplace(key, outcome_.findings.size());
  if (is_new) {
    Finding finding;
    finding.check_id = outcome_.id;
    finding.level = violation.level;
    finding.signal = std::move(violation.signal);
    finding.subject = std::move(violation.subject);
    finding.message = std::move(violation.message);
    finding.expected = std::move(violation.expected);
    finding.actual = std::move(violation.actual);
    finding.context = std::move(violation.context);
    if (has_place) finding.places.push_back(std::move(violation.place));
    outcome_.findings.push_back(std::move(finding));
    return;
  }
  Finding& finding = outcome_.findings[fold->second];
  ++finding.count;
  if (has_place && finding.count <= kPlacesMax) {
    finding.places.push_back(std::move(violation.place));
  }
}

void Recorder::violation(const SpanView& view, Violation violation) {
  violation.place.trace_id = view.span->trace_id.hex();
  violation.place.span_id = view.span->span_id.hex();
  violation.context["span"] = view.span->name;
  if (violation.subject.empty()) violation.subject = "span " + view.span->name;
  this->violation(std::move(violation));
}

void Recorder::finish() {
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
    outcome_.reason = summary_.empty()
                          ? format_count(places) + (places == 1 ? " violation" : " violations")
                          : summary_;
    return;
  }
  if (undecided_) {
    outcome_.verdict = Verdict::kUnknown;
    outcome_.reason = *undecided_;
  } else if (outcome_.examined == 0) {
    outcome_.verdict = Verdict::kSkip;
    outcome_.reason = not_applicable_.value_or("nothing to examine");
  } else {
    outcome_.verdict = Verdict::kPass;
    outcome_.reason = summary_;
  }
}

}  // namespace touchstone::conformance
