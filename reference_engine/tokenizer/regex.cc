#include "reference_engine/tokenizer/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <array>

#include "base/check.h"
#include "base/text.h"
#include "base/utf8.h"

namespace touchstone::tokenizer {
namespace {

// Letters, marks and numbers that Unicode 15.0, 15.1 and 16.0 added: Hugging Face's tokenizers know
// them, PCRE2 10.42 has the tables of Unicode 14. Found by asking both for every code point.
constexpr std::string_view kNewLetters =
    "\\x{1C89}-\\x{1C8A}\\x{A7CB}-\\x{A7CD}\\x{A7DA}-\\x{A7DC}\\x{105C0}-\\x{105F3}"
    "\\x{10D4A}-\\x{10D65}\\x{10D6F}-\\x{10D85}\\x{10EC2}-\\x{10EC4}\\x{1123F}-\\x{11240}"
    "\\x{11380}-\\x{11389}\\x{1138B}\\x{1138E}\\x{11390}-\\x{113B5}\\x{113B7}\\x{113D1}"
    "\\x{113D3}\\x{11BC0}-\\x{11BE0}\\x{11F02}\\x{11F04}-\\x{11F10}\\x{11F12}-\\x{11F33}"
    "\\x{1342F}\\x{13441}-\\x{13446}\\x{13460}-\\x{143FA}\\x{16100}-\\x{1611D}"
    "\\x{16D40}-\\x{16D6C}\\x{18CFF}\\x{1B132}\\x{1B155}\\x{1DF25}-\\x{1DF2A}"
    "\\x{1E030}-\\x{1E06D}\\x{1E4D0}-\\x{1E4EB}\\x{1E5D0}-\\x{1E5ED}\\x{1E5F0}\\x{2B739}"
    "\\x{2EBF0}-\\x{2EE5D}\\x{31350}-\\x{323AF}";
constexpr std::string_view kNewMarks =
    "\\x{897}\\x{CF3}\\x{ECE}\\x{10D69}-\\x{10D6D}\\x{10EFC}-\\x{10EFF}\\x{11241}"
    "\\x{113B8}-\\x{113C0}\\x{113C2}\\x{113C5}\\x{113C7}-\\x{113CA}\\x{113CC}-\\x{113D0}"
    "\\x{113D2}\\x{113E1}-\\x{113E2}\\x{11F00}-\\x{11F01}\\x{11F03}\\x{11F34}-\\x{11F3A}"
    "\\x{11F3E}-\\x{11F42}\\x{11F5A}\\x{13440}\\x{13447}-\\x{13455}\\x{1611E}-\\x{1612F}"
    "\\x{1E08F}\\x{1E4EC}-\\x{1E4EF}\\x{1E5EE}-\\x{1E5EF}";
constexpr std::string_view kNewNumbers =
    "\\x{10D40}-\\x{10D49}\\x{116D0}-\\x{116E3}\\x{11BF0}-\\x{11BF9}\\x{11F50}-\\x{11F59}"
    "\\x{16130}-\\x{16139}\\x{16D70}-\\x{16D79}\\x{1CCF0}-\\x{1CCF9}\\x{1D2C0}-\\x{1D2D3}"
    "\\x{1E4F0}-\\x{1E4F9}\\x{1E5F1}-\\x{1E5FA}";

// What `\` + `rest` means in the dialect of tokenizer.json, when PCRE2 means something else. Sets
// `size` to the characters taken from `rest`.
std::string_view new_members(std::string_view rest, size_t& size) {
  for (const auto& [name, members] :
       {std::pair<std::string_view, std::string_view>{"p{L}", kNewLetters},
        {"p{M}", kNewMarks},
        {"p{N}", kNewNumbers}}) {
    if (rest.substr(0, name.size()) == name) {
      size = name.size();
      return members;
    }
  }
  return {};
}

std::string translate(std::string_view pattern) {
  std::string out;
  bool in_class = false;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (c == '[') in_class = true;
    if (c == ']') in_class = false;
    if (c != '\\' || i + 1 == pattern.size()) {
      out.push_back(c);
      continue;
    }
    size_t size = 1;
    if (const auto members = new_members(pattern.substr(i + 1), size); !members.empty()) {
      const std::string all =
          "\\" + std::string(pattern.substr(i + 1, size)) + std::string(members);
      out += in_class ? all : "[" + all + "]";
    } else if (pattern[i + 1] == 's' || pattern[i + 1] == 'S') {
      // PCRE2's \s also takes U+180E, which left White_Space in Unicode 6.3.
      out += pattern[i + 1] == 's' ? "\\p{White_Space}" : "\\P{White_Space}";
    } else {
      out += pattern.substr(i, 2);
    }
    i += size;
  }
  return out;
}

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
  const std::string dialect = translate(pattern);
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

}  // namespace touchstone::tokenizer
