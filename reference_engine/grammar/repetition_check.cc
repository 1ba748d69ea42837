#include "reference_engine/grammar/repetition_check.h"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

namespace touchstone::grammar {
namespace {

enum class Notation { kRegex, kEbnf };

Error too_many(const std::string& what, int64_t got, int64_t most) {
  return invalid_argument("The grammar has " + what + ": got " + std::to_string(got) +
                          ", more than the " + std::to_string(most) + " that this server takes");
}

/// A counted repetition behind an atom: {m}, {m,}, {m,n}.
struct Counted {
  int64_t low = 0;
  int64_t high = 0;
  bool open = false;  ///< no upper end
};

class CostScan final {
 public:
  CostScan(std::string_view text, Notation notation, const GrammarLimits& limits)
      : text_(text), notation_(notation), limits_(limits) {}

  Status run() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (skip_literal(c)) continue;
      ++at_;
      if (c == '(') {
        groups_.push_back({});
      } else if (c == ')') {
        if (groups_.size() < 2) return {};  // the parser says what is wrong
        last_ = std::max(groups_.back().places, 1 + groups_.back().open_parts);
        groups_.pop_back();
        keep_last();
      } else if (c == '|') {
        if (++alternatives_ > limits_.alternatives_max) {
          return too_many("alternatives", static_cast<int64_t>(alternatives_),
                          static_cast<int64_t>(limits_.alternatives_max));
        }
      } else if (c == '*' || c == '?') {
        if (++optionals_ > limits_.optionals_max) {
          return too_many("optional parts", static_cast<int64_t>(optionals_),
                          static_cast<int64_t>(limits_.optionals_max));
        }
        ++groups_.back().open_parts;
      } else if (c == '{') {
        if (const auto counted = read_count()) RETURN_IF_ERROR(repeat(*counted));
      } else if (notation_ == Notation::kRegex) {
        last_ = 1;
        keep_last();
      }
    }
    return {};
  }

 private:
  struct Group {
    int64_t places = 1;      // that a character of it may stand for
    int64_t open_parts = 0;  // that may be left out, or come more or less often
  };

  void keep_last() { groups_.back().places = std::max(groups_.back().places, last_); }

  /// Escapes, classes, quoted texts and comments: nothing in them repeats or branches.
  bool skip_literal(char c) {
    if (c == '\\') {
      at_ = std::min(at_ + 2, text_.size());
      last_ = 1;
      return true;
    }
    const char end = c == '[' ? ']' : notation_ == Notation::kEbnf && c == '"' ? '"' : '\0';
    if (notation_ == Notation::kEbnf && c == '#') {
      at_ = std::min(text_.find('\n', at_), text_.size());
      return true;
    }
    if (end == '\0') return false;
    for (++at_; at_ < text_.size() && text_[at_] != end; ++at_) {
      if (text_[at_] == '\\') ++at_;
    }
    at_ = std::min(at_ + 1, text_.size());
    last_ = 1;
    return true;
  }

  std::optional<int64_t> read_number() {
    std::optional<int64_t> number;
    for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
      number = std::min<int64_t>(number.value_or(0) * 10 + (text_[at_] - '0'), INT32_MAX);
    }
    return number;
  }

  /// After "{"; nullopt when it is something else.
  std::optional<Counted> read_count() {
    const auto skip_space = [this] {
      while (notation_ == Notation::kEbnf && at_ < text_.size() && text_[at_] == ' ') ++at_;
    };
    skip_space();
    const auto low = read_number();
    skip_space();
    if (!low || at_ >= text_.size()) return std::nullopt;
    Counted counted{.low = *low, .high = *low};
    if (text_[at_] == ',') {
      ++at_;
      skip_space();
      const auto high = read_number();
      counted.high = high.value_or(*low);
      counted.open = !high;
      skip_space();
    }
    if (at_ >= text_.size() || text_[at_] != '}') return std::nullopt;
    ++at_;
    return counted;
  }

  Status repeat(const Counted& counted) {
    const int64_t most = std::max(counted.low, counted.high);
    if (most > limits_.repetition_max) {
      return too_many("a repetition", most, limits_.repetition_max);
    }
    const bool varies = counted.open || counted.low != counted.high;
    if (varies) ++groups_.back().open_parts;
    if (last_ > 1) {
      last_ *= std::max<int64_t>(most, 1);
      multiplied_ += last_;
      if (std::max(last_, multiplied_) > limits_.nested_repetition_max) {
        return too_many("repetitions within repetitions, multiplied", std::max(last_, multiplied_),
                        limits_.nested_repetition_max);
      }
    } else if (varies) {
      last_ = std::max<int64_t>(most, 1);
    }
    keep_last();
    return {};
  }

  const std::string_view text_;
  const Notation notation_;
  const GrammarLimits& limits_;
  size_t at_ = 0;
  std::vector<Group> groups_ = {{}};
  int64_t last_ = 1;        // places of the atom before
  int64_t multiplied_ = 0;  // places of all repetitions that have several within
  size_t alternatives_ = 0;
  size_t optionals_ = 0;
};

}  // namespace

Status check_regex_cost(std::string_view regex, const GrammarLimits& limits) {
  return CostScan(regex, Notation::kRegex, limits).run();
}

Status check_ebnf_cost(std::string_view ebnf, const GrammarLimits& limits) {
  return CostScan(ebnf, Notation::kEbnf, limits).run();
}

}  // namespace touchstone::grammar
