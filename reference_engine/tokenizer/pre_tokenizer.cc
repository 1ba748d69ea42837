#include "reference_engine/tokenizer/pre_tokenizer.h"

#include <algorithm>
#include <array>
#include <deque>
#include <optional>
#include <utility>

#include "base/text.h"
#include "base/utf8.h"
#include "reference_engine/tokenizer/byte_level.h"

namespace touchstone::tokenizer {
namespace {

constexpr std::string_view kPunctuation = "[!-/:-@\\[-`{-~\\p{P}]";

bool is_one_character(std::string_view text) {
  return !text.empty() && decode_character(text).size == text.size();
}

}  // namespace

Result<PreTokenizer> PreTokenizer::parse(const Part& part) {
  PreTokenizer result;
  if (part.is_null()) return result;
  if (Status added = result.add(part); !added) return std::move(added).error();
  return result;
}

bool PreTokenizer::looks_at_place() const {
  return std::any_of(steps_.begin(), steps_.end(), [](const Step& step) {
    const auto* metaspace = std::get_if<Metaspace>(&step);
    return metaspace != nullptr && metaspace->prepend == Metaspace::Prepend::kFirst;
  });
}

Status PreTokenizer::add(const Part& part) {
  const std::string type = part.type();
  if (type.empty()) return part.malformed("expected an object with a type");
  if (type == "Sequence") {
    if (part["pretokenizers"].is_null()) return part.malformed("Sequence without pretokenizers");
    for (const Part& member : part["pretokenizers"].elements()) RETURN_IF_ERROR(add(member));
    return {};
  }
  if (has_byte_level_) return part.unsupported(type + " after ByteLevel");
  if (type == "Split") return add_split(part);
  if (type == "Metaspace") return add_metaspace(part);
  if (type == "ByteLevel") return add_byte_level(part);
  if (type == "Whitespace") return add_pattern(part, "\\w+|[^\\w\\s]+", Behavior::kRemoved, true);
  if (type == "WhitespaceSplit") return add_pattern(part, "\\s", Behavior::kRemoved);
  if (type == "Digits") {
    return add_pattern(
        part, "\\p{N}",
        part.flag("individual_digits", false) ? Behavior::kIsolated : Behavior::kContiguous);
  }
  if (type == "Punctuation") {
    auto behavior = behavior_of(part["behavior"]);
    if (!behavior) return std::move(behavior).error();
    return add_pattern(part, kPunctuation, *behavior);
  }
  if (type == "CharDelimiterSplit") {
    auto delimiter = part["delimiter"].text();
    if (!delimiter) return std::move(delimiter).error();
    return add_pattern(part, escape_for_regex(*delimiter), Behavior::kRemoved);
  }
  return part.unsupported("type " + quote(type));
}

Status PreTokenizer::add_pattern(const Part& part, std::string_view pattern, Behavior behavior,
                                 bool invert) {
  auto regex = Regex::compile(pattern);
  if (!regex) return std::move(regex).error().with_context(part.where());
  steps_.emplace_back(Split{std::move(*regex), behavior, invert});
  return {};
}

Result<PreTokenizer::Behavior> PreTokenizer::behavior_of(const Part& part) {
  if (part.is_null()) return Behavior::kIsolated;
  auto name = part.text();
  if (!name) return std::move(name).error();
  constexpr std::array<std::pair<std::string_view, Behavior>, 5> kBehaviors = {
      {{"Removed", Behavior::kRemoved},
       {"Isolated", Behavior::kIsolated},
       {"MergedWithPrevious", Behavior::kMergedWithPrevious},
       {"MergedWithNext", Behavior::kMergedWithNext},
       {"Contiguous", Behavior::kContiguous}}};
  for (const auto& [known, behavior] : kBehaviors) {
    if (*name == known) return behavior;
  }
  return part.unsupported("got " + quote(*name));
}

Status PreTokenizer::add_split(const Part& part) {
  auto pattern = pattern_of(part["pattern"]);
  if (!pattern) return std::move(pattern).error();
  auto behavior = behavior_of(part["behavior"]);
  if (!behavior) return std::move(behavior).error();
  return add_pattern(part, *pattern, *behavior, part.flag("invert", false));
}

Status PreTokenizer::add_metaspace(const Part& part) {
  auto replacement = part["replacement"].text();
  if (!replacement) return std::move(replacement).error();
  if (!is_one_character(*replacement)) {
    return part["replacement"].malformed("expected one character");
  }
  // add_prefix_space is how files before 0.15 wrote the scheme.
  std::string scheme = part.flag("add_prefix_space", true) ? "always" : "never";
  if (!part["prepend_scheme"].is_null()) {
    auto given = part["prepend_scheme"].text();
    if (!given) return std::move(given).error();
    if (scheme == "never" && *given != "never") {
      return part.malformed("add_prefix_space false with prepend_scheme " + quote(*given));
    }
    scheme = *given;
  }
  constexpr std::array<std::pair<std::string_view, Metaspace::Prepend>, 3> kSchemes = {
      {{"always", Metaspace::Prepend::kAlways},
       {"first", Metaspace::Prepend::kFirst},
       {"never", Metaspace::Prepend::kNever}}};
  const auto* known = std::find_if(kSchemes.begin(), kSchemes.end(),
                                   [&](const auto& row) { return row.first == scheme; });
  if (known == kSchemes.end()) return part["prepend_scheme"].unsupported("got " + quote(scheme));
  steps_.emplace_back(Metaspace{*replacement, known->second});
  if (!part.flag("split", true)) return {};
  return add_pattern(part, escape_for_regex(*replacement), Behavior::kMergedWithNext);
}

Status PreTokenizer::add_byte_level(const Part& part) {
  has_byte_level_ = true;
  if (part.flag("add_prefix_space", true)) steps_.emplace_back(PrefixSpace{});
  if (!part.flag("use_regex", true)) return {};
  return add_pattern(part, kByteLevelPattern, Behavior::kIsolated);
}

// The matches that one behaviour joins with their neighbours.
std::vector<PreTokenizer::Span> PreTokenizer::merged(const std::vector<Span>& spans,
                                                     Behavior behavior) {
  std::vector<Span> result;
  bool previous_match = false;
  if (behavior == Behavior::kMergedWithNext) {
    for (auto span = spans.rbegin(); span != spans.rend(); ++span) {
      if (span->is_match && !previous_match && !result.empty()) {
        result.back().begin = span->begin;
      } else {
        result.push_back(*span);
      }
      previous_match = span->is_match;
    }
    std::reverse(result.begin(), result.end());
    return result;
  }
  for (const Span& span : spans) {
    const bool joins = behavior == Behavior::kContiguous ? span.is_match == previous_match
                                                         : span.is_match && !previous_match;
    if (joins && !result.empty()) {
      result.back().end = span.end;
    } else {
      result.push_back(span);
    }
    previous_match = span.is_match;
  }
  return result;
}

// One text on its way through the steps.
struct PreTokenizer::Run {
  const std::vector<Step>& steps;
  const std::function<void(std::string_view)>& visit;
  std::deque<std::optional<Regex::Scanner>> scanners;  // one a step; none without a pattern

  Run(const std::vector<Step>& all, const std::function<void(std::string_view)>& callback)
      : steps(all), visit(callback) {
    for (const Step& step : steps) {
      const auto* split = std::get_if<Split>(&step);
      if (split != nullptr) {
        scanners.emplace_back(std::in_place, split->regex);
      } else {
        scanners.emplace_back();
      }
    }
  }

  void take(size_t step, std::string_view text, Place place) {
    if (step == steps.size()) return visit(text);
    if (const auto* split = std::get_if<Split>(&steps[step])) return cut(*split, step, text, place);
    if (const auto* metaspace = std::get_if<Metaspace>(&steps[step])) {
      return take(step + 1, spaced(*metaspace, text, place), place);
    }
    if (text[0] == ' ') return take(step + 1, text, place);
    take(step + 1, " " + std::string(text), place);
  }

  static std::string spaced(const Metaspace& metaspace, std::string_view text, Place place) {
    std::string out;
    for (const char c : text) {
      if (c == ' ') {
        out += metaspace.replacement;
      } else {
        out.push_back(c);
      }
    }
    const bool prepends =
        metaspace.prepend == Metaspace::Prepend::kAlways ||
        (metaspace.prepend == Metaspace::Prepend::kFirst && place == Place::kBeginning);
    const bool has_one = out.compare(0, metaspace.replacement.size(), metaspace.replacement) == 0;
    return prepends && !has_one ? metaspace.replacement + out : out;
  }

  void cut(const Split& split, size_t step, std::string_view text, Place place) {
    const auto pass_on = [&](size_t begin, size_t end) {
      take(step + 1, text.substr(begin, end - begin), begin == 0 ? place : Place::kLater);
    };
    const bool merges =
        split.behavior != Behavior::kIsolated && split.behavior != Behavior::kRemoved;
    std::vector<Span> spans;
    const auto found = [&](size_t begin, size_t end, bool is_match) {
      if (begin == end) return;
      if (merges) {
        spans.push_back({begin, end, is_match != split.invert});
      } else if (split.behavior == Behavior::kIsolated || is_match == split.invert) {
        pass_on(begin, end);
      }
    };
    size_t done = 0;
    while (const auto match = scanners[step]->find(text, done)) {
      found(done, match->first, false);
      found(match->first, match->second, true);
      done = match->second;
    }
    found(done, text.size(), false);
    if (!merges) return;
    for (const Span& span : merged(spans, split.behavior)) pass_on(span.begin, span.end);
  }
};

void PreTokenizer::split(std::string_view text, Place place,
                         const std::function<void(std::string_view)>& visit) const {
  if (text.empty()) return;
  Run run(steps_, visit);
  run.take(0, text, place);
}

}  // namespace touchstone::tokenizer
