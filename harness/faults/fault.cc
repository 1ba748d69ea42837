#include "harness/faults/fault.h"

#include <algorithm>
#include <cctype>

#include "base/text.h"
#include "harness/faults/kinds.h"

namespace touchstone::harness {
namespace {

std::string hint() {
  std::string text = "KIND:TARGET@TIME[+DURATION], e.g. kill:collector@3s; kinds:";
  for (const FaultKind& kind : fault_kinds()) {
    text += std::string("\n  ") + kind.word + ": " + kind.summary;
  }
  return text;
}

}  // namespace

const std::vector<FaultKind>& fault_kinds() {
  static const std::vector<FaultKind> kKinds = {kill_fault(), stop_fault(), restart_fault()};
  return kKinds;
}

bool is_part_name(const std::string& name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c == '-';
  });
}

Result<Fault> parse_fault(const std::string& text) {
  const auto wrong = [&](const std::string& problem) {
    return invalid_argument("fault " + quote(text) + ": " + problem, hint());
  };
  const size_t at = text.find('@');
  const size_t colon = std::min(text.find(':'), text.find('-'));
  const std::string word = text.substr(0, std::min(colon, at));
  const auto kind = std::find_if(fault_kinds().begin(), fault_kinds().end(),
                                 [&](const FaultKind& known) { return known.word == word; });
  if (kind == fault_kinds().end()) {
    std::vector<std::string> words;
    for (const FaultKind& known : fault_kinds()) words.emplace_back(known.word);
    return wrong("got " + quote(word) + ", expected " + join(words, ", "));
  }
  if (at == std::string::npos) return wrong("got no @TIME");
  Fault fault{.kind = &*kind, .target = {}, .at_ns = 0, .lasts_ns = {}, .text = text};
  if (colon < at) fault.target = text.substr(colon + 1, at - colon - 1);
  if (!is_part_name(fault.target)) return wrong("got the target " + quote(fault.target));
  const size_t plus = std::min(text.find('+', at), text.size());
  const auto time = parse_duration_ns(text.substr(at + 1, plus - at - 1));
  if (!time) return Error(time.error()).with_context("fault " + quote(text));
  if (*time < 0) return wrong("got a negative time");
  fault.at_ns = *time;
  if (plus == text.size()) return fault;
  if (fault.kind->undo == nullptr) return wrong("got a duration, but this kind does not last");
  const auto lasts = parse_duration_ns(text.substr(plus + 1));
  if (!lasts) return Error(lasts.error()).with_context("fault " + quote(text));
  if (*lasts <= 0) return wrong("got a duration of 0 or less");
  fault.lasts_ns = *lasts;
  return fault;
}

}  // namespace touchstone::harness
