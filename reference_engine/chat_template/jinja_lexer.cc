#include "reference_engine/chat_template/jinja_lexer.h"

#include <algorithm>
#include <cctype>
#include <optional>

#include "base/text.h"
#include "base/utf8.h"

namespace touchstone::chat_template {
namespace {

bool is_space(char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; }
bool is_name_start(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_'; }
bool is_name(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string unix_line_ends(std::string_view source) {
  std::string out;
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      out.push_back('\n');
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    } else {
      out.push_back(source[i]);
    }
  }
  // One line end at the end of the file belongs to the file, not to the template.
  if (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(unix_line_ends(source)) {}

  Result<std::vector<Token>> run() {
    while (at_ < source_.size() && !error_) next_part();
    if (error_) return *error_;
    tokens_.push_back({TokenKind::kEnd, "", line_});
    return std::move(tokens_);
  }

 private:
  void fail(const std::string& problem) {
    if (!error_) error_ = malformed("line " + std::to_string(line_) + ": " + problem);
  }
  char peek(size_t ahead = 0) const {
    return at_ + ahead < source_.size() ? source_[at_ + ahead] : '\0';
  }
  bool looking_at(std::string_view text) const {
    return std::string_view(source_).substr(at_, text.size()) == text;
  }
  void advance(size_t count) {
    for (; count > 0 && at_ < source_.size(); --count, ++at_) {
      if (source_[at_] == '\n') ++line_;
    }
  }

  // Text up to the next tag, then the tag.
  void next_part() {
    size_t open = at_;
    while (true) {
      open = source_.find('{', open);
      if (open == std::string::npos || open + 1 >= source_.size()) {
        emit_text(std::string_view(source_).substr(at_));
        advance(source_.size() - at_);
        return;
      }
      const char kind = source_[open + 1];
      if (kind == '{' || kind == '%' || kind == '#') break;
      ++open;
    }
    const char kind = source_[open + 1];
    const char mark = open + 2 < source_.size() ? source_[open + 2] : '\0';
    std::string_view text = std::string_view(source_).substr(at_, open - at_);
    if (mark == '-') {
      while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
    } else if (mark != '+' && kind != '{') {
      text = without_indent(text);
    }
    emit_text(text);
    advance(open - at_);
    line_starting_ = false;
    if (kind == '#') {
      comment();
    } else if (kind == '%' && is_raw_tag()) {
      raw();
    } else {
      tag(kind);
    }
  }

  // lstrip_blocks: blanks between the start of the line and a block go.
  std::string_view without_indent(std::string_view text) const {
    const size_t newline = text.rfind('\n');
    const size_t begin = newline == std::string_view::npos ? 0 : newline + 1;
    if (begin == 0 && !line_starting_) return text;
    const std::string_view indent = text.substr(begin);
    return std::all_of(indent.begin(), indent.end(), is_space) ? text.substr(0, begin) : text;
  }

  void emit_text(std::string_view text) {
    if (!text.empty()) tokens_.push_back({TokenKind::kText, std::string(text), line_});
  }

  // After a tag that ended with `mark`: - takes all space, trim_blocks one line end.
  void after_tag(char mark, bool trims) {
    if (mark == '-') {
      while (at_ < source_.size() && is_space(peek())) {
        line_starting_ = peek() == '\n';
        advance(1);
      }
    } else if (mark != '+' && trims && peek() == '\n') {
      advance(1);
      line_starting_ = true;
    }
  }

  void comment() {
    const size_t end = source_.find("#}", at_ + 2);
    if (end == std::string::npos) {
      fail("a comment without end");
      return;
    }
    const char mark = source_[end - 1];
    advance(end + 2 - at_);
    after_tag(mark == '-' || mark == '+' ? mark : '\0', true);
  }

  bool is_raw_tag() const {
    size_t i = at_ + 2;
    if (i < source_.size() && (source_[i] == '-' || source_[i] == '+')) ++i;
    while (i < source_.size() && is_space(source_[i])) ++i;
    return std::string_view(source_).substr(i, 3) == "raw" && i + 3 < source_.size() &&
           !is_name(source_[i + 3]);
  }

  void raw() {
    const size_t begin = source_.find("%}", at_);
    size_t end = begin;
    size_t close = std::string::npos;
    while (end != std::string::npos) {
      end = source_.find("{%", end + 2);
      if (end == std::string::npos) break;
      close = source_.find("%}", end);
      if (close == std::string::npos) break;
      std::string_view inside = std::string_view(source_).substr(end + 2, close - end - 2);
      while (!inside.empty() && (is_space(inside.front()) || inside.front() == '-')) {
        inside.remove_prefix(1);
      }
      if (inside.substr(0, 6) == "endraw") break;
    }
    if (end == std::string::npos || close == std::string::npos) {
      fail("a raw block without end");
      return;
    }
    advance(begin + 2 - at_);
    emit_text(std::string_view(source_).substr(at_, end - at_));
    advance(close + 2 - at_);
    after_tag('\0', true);
  }

  void tag(char kind) {
    const bool print = kind == '{';
    tokens_.push_back({print ? TokenKind::kOpenPrint : TokenKind::kOpenBlock, "", line_});
    advance(2);
    if (peek() == '-' || peek() == '+') advance(1);
    const std::string_view close = print ? "}}" : "%}";
    int depth = 0;  // of brackets: "}}" may end a mapping inside a print tag
    while (at_ < source_.size() && !error_) {
      if (is_space(peek())) {
        advance(1);
        continue;
      }
      const bool marked = (peek() == '-' || peek() == '+') && at_ + 1 < source_.size() &&
                          std::string_view(source_).substr(at_ + 1, 2) == close;
      if (depth == 0 && (marked || looking_at(close))) {
        const char mark = marked ? peek() : '\0';
        tokens_.push_back({print ? TokenKind::kClosePrint : TokenKind::kCloseBlock, "", line_});
        advance(marked ? 3 : 2);
        after_tag(mark, !print);
        return;
      }
      if (std::string_view("([{").find(peek()) != std::string_view::npos) ++depth;
      if (std::string_view(")]}").find(peek()) != std::string_view::npos) --depth;
      if (depth < 0) {
        fail("a bracket closes nothing");
        return;
      }
      token();
    }
    fail("a tag without end");
  }

  void token() {
    const size_t begin = at_;
    if (peek() == '"' || peek() == '\'') {
      string();
    } else if (is_digit(peek())) {
      number();
    } else if (is_name_start(peek())) {
      while (is_name(peek())) advance(1);
      push(TokenKind::kName, begin);
    } else {
      operator_();
    }
  }

  void push(TokenKind kind, size_t begin) {
    tokens_.push_back({kind, source_.substr(begin, at_ - begin), line_});
  }

  void number() {
    const size_t begin = at_;
    while (is_digit(peek())) advance(1);
    bool fraction = false;
    if (peek() == '.' && is_digit(peek(1))) {
      fraction = true;
      advance(1);
      while (is_digit(peek())) advance(1);
    }
    if ((peek() == 'e' || peek() == 'E') &&
        (is_digit(peek(1)) || ((peek(1) == '-' || peek(1) == '+') && is_digit(peek(2))))) {
      fraction = true;
      advance(2);
      while (is_digit(peek())) advance(1);
    }
    push(fraction ? TokenKind::kFloat : TokenKind::kInteger, begin);
  }

  void operator_() {
    for (const std::string_view two : {"==", "!=", "<=", ">=", "//", "**"}) {
      if (looking_at(two)) {
        tokens_.push_back({TokenKind::kOperator, std::string(two), line_});
        advance(2);
        return;
      }
    }
    if (std::string_view("+-*/%~<>=()[]{}.,:|").find(peek()) == std::string_view::npos) {
      fail("unexpected " + quote(std::string(1, peek())));
      return;
    }
    tokens_.push_back({TokenKind::kOperator, std::string(1, peek()), line_});
    advance(1);
  }

  void string() {
    const char delimiter = peek();
    const int line = line_;
    advance(1);
    std::string value;
    while (at_ < source_.size() && peek() != delimiter && !error_) {
      if (peek() == '\\') {
        escape(value);
      } else {
        value.push_back(peek());
        advance(1);
      }
    }
    if (at_ >= source_.size()) {
      fail("a string without end");
      return;
    }
    advance(1);
    tokens_.push_back({TokenKind::kString, std::move(value), line});
  }

  void escape(std::string& value) {
    const char c = peek(1);
    constexpr std::string_view kNames = "ntrbfav0\\'\"";
    constexpr std::string_view kValues("\n\t\r\b\f\a\v\0\\'\"", 11);
    if (const size_t known = kNames.find(c); known != std::string_view::npos && c != '\0') {
      value.push_back(kValues[known]);
      advance(2);
    } else if (c == '\n') {
      advance(2);
    } else if (c == 'x' || c == 'u' || c == 'U') {
      const size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : 8;
      const std::string hex = source_.substr(std::min(at_ + 2, source_.size()), digits);
      if (hex.size() < digits || hex.find_first_not_of("0123456789abcdefABCDEF") != hex.npos) {
        fail("a bad escape in a string");
        return;
      }
      const long code = std::strtol(hex.c_str(), nullptr, 16);
      const bool character = code <= 0x10FFFF && !(code >= 0xD800 && code <= 0xDFFF);
      if (character) {
        append_character(static_cast<int32_t>(code), value);
      } else {
        value += kReplacementCharacter;
      }
      advance(2 + digits);
    } else {
      value.push_back('\\');
      advance(1);
    }
  }

  std::string source_;
  size_t at_ = 0;
  int line_ = 1;
  bool line_starting_ = true;
  std::vector<Token> tokens_;
  std::optional<Error> error_;
};

}  // namespace

Result<std::vector<Token>> tokenize(std::string_view source) { return Lexer(source).run(); }

}  // namespace touchstone::chat_template
