#include "harness/faults/fault.h"

#include <algorithm>
#include <cctype>

#include "base/check.h"
#include "base/clock.h"
#include "base/random.h"
#include "base/text.h"
#include "harness/faults/kinds.h"

namespace touchstone::harness {
namespace {

std::string hint() {
  std::string text =
      "KIND:TARGET@TIME[+DURATION][,OPTION=VALUE], e.g. kill:collector@3s, or @FROM..TO*TIMES; "
      "kinds:";
  for (const FaultKind& kind : fault_kinds()) {
    text += std::string("\n  ") + kind.word + ": " + kind.summary;
  }
  return text;
}

Error wrong(const std::string& text, const std::string& problem) {
  return invalid_argument("fault " + quote(text) + ": " + problem, hint());
}

const FaultKind* kind_named(const std::string& word) {
  const auto kind = std::find_if(fault_kinds().begin(), fault_kinds().end(),
                                 [&](const FaultKind& known) { return known.word == word; });
  return kind == fault_kinds().end() ? nullptr : &*kind;
}

Result<int64_t> duration(const std::string& text, const std::string& written) {
  auto read = parse_duration_ns(written);
  if (!read) return Error(read.error()).with_context("fault " + quote(text));
  return read;
}

Result<int64_t> value_of(const FaultOption& option, const std::string& text,
                         const std::string& written) {
  if (option.unit == FaultOption::Unit::kDuration) return duration(text, written);
  const auto number = parse_int(written);
  const int64_t most = option.unit == FaultOption::Unit::kPerCent ? 100 : INT64_MAX;
  if (!number || *number < 1 || *number > most) {
    return wrong(text, std::string(option.word) + ": got " + quote(written) +
                           ", expected a number from 1" + (most == 100 ? " to 100" : ""));
  }
  return *number;
}

Status read_option(const std::string& text, const std::string& written, Fault& fault) {
  const size_t equals = std::min(written.find('='), written.size());
  const std::string word = written.substr(0, equals);
  std::vector<std::string> words;
  for (const FaultOption& option : fault.kind->options) {
    words.emplace_back(option.word);
    if (word != option.word) continue;
    const std::string value = equals < written.size() ? written.substr(equals + 1) : "";
    const auto read = value_of(option, text, value);
    if (!read) return read.error();
    fault.values[word] = *read;
    return {};
  }
  return wrong(text, "got the option " + quote(word) + ", expected " +
                         (words.empty() ? "none" : "one of: " + join(words, ", ")));
}

/// "3s" or "1s..20s*5".
Status read_moment(const std::string& text, const std::string& written, Fault& fault) {
  const size_t dots = written.find("..");
  const auto at = duration(text, written.substr(0, dots));
  if (!at) return at.error();
  if (*at < 0) return wrong(text, "got a negative time");
  fault.at_ns = *at;
  if (dots == std::string::npos) return {};
  const size_t star = std::min(written.find('*', dots), written.size());
  const auto until = duration(text, written.substr(dots + 2, star - dots - 2));
  if (!until) return until.error();
  if (*until <= *at) return wrong(text, "got an end that is not after its beginning");
  fault.until_ns = *until;
  if (star == written.size()) return {};
  const auto times = parse_int(written.substr(star + 1));
  if (!times || *times < 1 || *times > 10'000) {
    return wrong(text, "got *" + written.substr(star + 1) + ", expected *1 to *10000");
  }
  fault.times = *times;
  return {};
}

bool is_target(const std::string& text) {
  const size_t slash = std::min(text.find('/'), text.size());
  return is_part_name(text.substr(0, slash)) &&
         (slash == text.size() || is_part_name(text.substr(slash + 1)));
}

}  // namespace

const std::vector<FaultKind>& fault_kinds() {
  static const std::vector<FaultKind> kKinds = {
      kill_fault(),      stop_fault(),  restart_fault(),  refuse_fault(),   slow_fault(),
      half_open_fault(), reset_fault(), corrupt_fault(),  throttle_fault(), unavailable_fault(),
      partial_fault(),   clock_fault(), full_disk_fault()};
  return kKinds;
}

const char* to_string(FaultKind::Target target) {
  switch (target) {
    case FaultKind::Target::kProcess:
      return "collector, backend or a subject";
    case FaultKind::Target::kWire:
    case FaultKind::Target::kAnswers:
      return "client/SUBJECT, SUBJECT/collector or collector/backend";
    case FaultKind::Target::kOtlp:
      return "SUBJECT/collector or collector/backend";
    case FaultKind::Target::kDisk:
      return "collector or a subject";
  }
  return "";
}

std::string fallback_text(const FaultOption& option) {
  switch (option.unit) {
    case FaultOption::Unit::kDuration: {
      const bool whole = option.fallback % kNsPerSecond == 0;
      return std::to_string(option.fallback / (whole ? kNsPerSecond : kNsPerMs)) +
             (whole ? "s" : "ms");
    }
    case FaultOption::Unit::kCount:
    case FaultOption::Unit::kPerCent:
      return std::to_string(option.fallback);
  }
  return "";
}

int64_t Fault::value(const std::string& option) const {
  if (const auto said = values.find(option); said != values.end()) return said->second;
  const auto known = std::find_if(kind->options.begin(), kind->options.end(),
                                  [&](const FaultOption& one) { return one.word == option; });
  BASE_CHECK(known != kind->options.end(), option);
  return known->fallback;
}

bool is_part_name(const std::string& name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c == '-';
  });
}

Result<Fault> parse_fault(const std::string& text) {
  const size_t at = text.find('@');
  const size_t head = std::min(at, text.size());
  size_t colon = text.substr(0, head).find(':');
  if (colon == std::string::npos) colon = text.substr(0, head).find('-');
  const std::string word = text.substr(0, std::min(colon, head));
  Fault fault{.kind = kind_named(word),
              .target = {},
              .until_ns = {},
              .lasts_ns = {},
              .values = {},
              .text = text};
  if (fault.kind == nullptr) {
    std::vector<std::string> words;
    for (const FaultKind& known : fault_kinds()) words.emplace_back(known.word);
    return wrong(text, "got " + quote(word) + ", expected " + join(words, ", "));
  }
  if (at == std::string::npos) return wrong(text, "got no @TIME");
  if (colon < at) fault.target = text.substr(colon + 1, at - colon - 1);
  if (!is_target(fault.target)) return wrong(text, "got the target " + quote(fault.target));
  std::vector<std::string> parts = split(text.substr(at + 1), ',');
  const std::string when = parts.front();
  const size_t plus = std::min(when.find('+'), when.size());
  RETURN_IF_ERROR(read_moment(text, when.substr(0, plus), fault));
  for (size_t i = 1; i < parts.size(); ++i) RETURN_IF_ERROR(read_option(text, parts[i], fault));
  if (plus == when.size()) return fault;
  if (fault.kind->undo == nullptr) {
    return wrong(text, "got a duration, but this kind does not last");
  }
  const auto lasts = duration(text, when.substr(plus + 1));
  if (!lasts) return lasts.error();
  if (*lasts <= 0) return wrong(text, "got a duration of 0 or less");
  fault.lasts_ns = *lasts;
  return fault;
}

std::vector<Fault> with_moments(const std::vector<Fault>& faults, uint64_t seed) {
  std::vector<Fault> all;
  for (size_t i = 0; i < faults.size(); ++i) {
    const Fault& fault = faults[i];
    if (!fault.until_ns) {
      all.push_back(fault);
      continue;
    }
    RandomStream random(seed, "fault." + std::to_string(i));
    for (int64_t n = 0; n < fault.times; ++n) {
      Fault one = fault;
      // In whole milliseconds, which is what its text says.
      const int64_t ms = random.between(fault.at_ns / kNsPerMs, *fault.until_ns / kNsPerMs);
      one.at_ns = ms * kNsPerMs;
      one.until_ns.reset();
      one.times = 1;
      const size_t at = fault.text.find('@');
      one.text = fault.text.substr(0, at + 1) + std::to_string(ms) + "ms" +
                 fault.text.substr(std::min(fault.text.find_first_of("+,", at), fault.text.size()));
      all.push_back(std::move(one));
    }
  }
  return all;
}

}  // namespace touchstone::harness
