#include "reference_engine/tokenizer/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <array>

#include "base/check.h"
#include "base/text.h"
#include "base/utf8.h"
#include "reference_engine/tokenizer/newer_unicode.h"

namespace touchstone::tokenizer {
namespace {

// What `\\` and `next` mean with Oniguruma, as members of a class; empty when PCRE2 means the same.
std::string meaning(char next) {
  switch (next) {
    case 's':
      // PCRE2's \s also takes U+180E, which left White_Space in Unicode 6.3.
      return "\\p{White_Space}";
    case 'w':
      return "\\p{L}" + std::string(newer_members("L")) + "\\p{M}" +
             std::string(newer_members("M")) + "\\p{Nd}\\p{Nl}\\p{Pc}" +
             std::string(newer_members("Nd")) + std::string(kOtherWordCharacters);
    case 'd':
      return "\\p{Nd}" + std::string(newer_members("Nd"));
    default:
      return {};
  }
}

class Translator {
 public:
  explicit Translator(std::string_view pattern) : pattern_(pattern) {}

  Result<std::string> run() {
    for (size_t i = 0; i < pattern_.size(); ++i) {
      const char c = pattern_[i];
      if (c == '\\' && i + 1 < pattern_.size()) {
        auto taken = escape(pattern_.substr(i + 1));
        if (!taken) return std::move(taken).error();
        i += *taken;
        continue;
      }
      if (in_class_ && (c == '[' || pattern_.substr(i, 2) == "&&")) {
        return unsupported("a class inside a class");
      }
      if (c == '[') in_class_ = true;
      if (c == ']') in_class_ = false;
      out_.push_back(c);
    }
    return std::move(out_);
  }

 private:
  Error unsupported(const std::string& what) const {
    return {ErrorCode::kUnsupported, "pattern: " + what + ": " + quote(pattern_), {}};
  }

  // What follows a backslash; returns the characters taken.
  Result<size_t> escape(std::string_view rest) {
    const char next = rest[0];
    if ((next == 'p' || next == 'P') && rest.substr(1, 1) == "{") {
      const size_t end = rest.find('}');
      if (end == std::string_view::npos) return malformed("pattern: \\p{ without }");
      const std::string_view newer = newer_members(rest.substr(2, end - 2));
      const std::string name(rest.substr(1, end));
      return members("\\p" + name + std::string(newer), next == 'P', end + 1);
    }
    const char lower = next == 'S' ? 's' : next == 'W' ? 'w' : next == 'D' ? 'd' : next;
    const std::string all = meaning(lower);
    if (!all.empty()) return members(all, lower != next, 1);
    out_ += '\\';
    out_ += next;
    return size_t{1};
  }

  Result<size_t> members(const std::string& all, bool negated, size_t taken) {
    if (in_class_ && negated) {
      if (all != "\\p{White_Space}") return unsupported("a negated class inside a class");
      out_ += "\\P{White_Space}";
    } else if (in_class_) {
      out_ += all;
    } else {
      out_ += (negated ? "[^" : "[") + all + "]";
    }
    return taken;
  }

  std::string_view pattern_;
  std::string out_;
  bool in_class_ = false;
};

// A pattern of a hostile tokenizer.json must not run for ever.
constexpr uint32_t kMatchLimit = 10'000'000;

}  // namespace

struct Regex::Code {
  pcre2_code* code = nullptr;
  Code() = default;
  Code(const Code&) = delete;
  Code& operator=(const Code&) = delete;
  ~Code() { pcre2_code_free(code); }
};

struct Regex::Scanner::State {
  pcre2_match_data* data = nullptr;
  pcre2_match_context* context = nullptr;
  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    pcre2_match_data_free(data);
    pcre2_match_context_free(context);
  }
};

Regex::Regex(std::unique_ptr<Code> code) : code_(std::move(code)) {}
Regex::~Regex() = default;
Regex::Regex(Regex&&) noexcept = default;
Regex& Regex::operator=(Regex&&) noexcept = default;

Result<Regex> Regex::compile(std::string_view pattern) {
  auto translated = Translator(pattern).run();
  if (!translated) return std::move(translated).error();
  const std::string& dialect = *translated;
  int error = 0;
  PCRE2_SIZE position = 0;
  auto code = std::make_unique<Code>();
  code->code =
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(dialect.data()), dialect.size(),
                    PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &error, &position, nullptr);
  if (code->code == nullptr) {
    std::array<PCRE2_UCHAR, 256> text{};
    pcre2_get_error_message(error, text.data(), text.size());
    return malformed("pattern: " + std::string(reinterpret_cast<const char*>(text.data())) +
                     " at position " + std::to_string(position) + " of " + quote(dialect));
  }
  uint32_t matches_empty = 0;
  pcre2_pattern_info(code->code, PCRE2_INFO_MATCHEMPTY, &matches_empty);
  if (matches_empty != 0) {
    return Error{
        ErrorCode::kUnsupported, "pattern: " + quote(pattern) + " may match the empty text", {}};
  }
  // Without JIT (a platform that lacks it) matching is slower and otherwise the same.
  (void)pcre2_jit_compile(code->code, PCRE2_JIT_COMPLETE);
  return Regex(std::move(code));
}

Regex::Scanner::Scanner(const Regex& regex) : regex_(regex), state_(std::make_unique<State>()) {
  state_->data = pcre2_match_data_create_from_pattern(regex.code_->code, nullptr);
  state_->context = pcre2_match_context_create(nullptr);
  BASE_CHECK(state_->data != nullptr && state_->context != nullptr, "out of memory");
  pcre2_set_match_limit(state_->context, kMatchLimit);
}

Regex::Scanner::~Scanner() = default;

std::optional<std::pair<size_t, size_t>> Regex::Scanner::find(std::string_view text, size_t from) {
  while (from <= text.size()) {
    const int count =
        pcre2_match(regex_.code_->code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(),
                    from, PCRE2_NO_UTF_CHECK, state_->data, state_->context);
    // Running into the match limit counts as no match: the rest of the text is one piece.
    if (count < 0) return std::nullopt;
    const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(state_->data);
    if (bounds[1] > bounds[0]) return std::pair<size_t, size_t>(bounds[0], bounds[1]);
    if (bounds[0] >= text.size()) return std::nullopt;
    from = bounds[0] + decode_character(text.substr(bounds[0])).size;
  }
  return std::nullopt;
}

std::string replace_matches(std::string_view text, const Regex& regex, std::string_view to) {
  std::string out;
  Regex::Scanner scanner(regex);
  size_t done = 0;
  while (const auto match = scanner.find(text, done)) {
    out.append(text, done, match->first - done);
    out += to;
    done = match->second;
  }
  out.append(text, done);
  return out;
}

}  // namespace touchstone::tokenizer
