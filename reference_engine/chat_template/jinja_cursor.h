// Where a parser of the template language stands in its tokens. After the first error the current
// token is the last, so that every function of the parsers returns quickly. Thread-compatible.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/text.h"
#include "reference_engine/chat_template/jinja_lexer.h"

namespace touchstone::chat_template {

class TokenCursor {
 public:
  explicit TokenCursor(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

 protected:
  // Trees are walked recursively, so their depth is limited.
  static constexpr int kDepthMax = 100;

  const Token& current() const { return error_ ? tokens_.back() : tokens_[at_]; }
  const Token& next() const { return at_ + 1 < tokens_.size() ? tokens_[at_ + 1] : tokens_.back(); }
  Token take() {
    Token token = current();
    if (!error_ && at_ + 1 < tokens_.size()) ++at_;
    return token;
  }
  void fail(ErrorCode code, const std::string& problem) {
    if (!error_)
      error_ = Error{code, "line " + std::to_string(tokens_[at_].line) + ": " + problem, {}};
  }
  void fail_malformed(const std::string& problem) { fail(ErrorCode::kMalformed, problem); }
  void fail_unsupported(const std::string& what) {
    fail(ErrorCode::kUnsupported, what + " is not supported");
  }

  bool at_operator(std::string_view text) const {
    return current().kind == TokenKind::kOperator && current().text == text;
  }
  bool at_name(std::string_view text) const {
    return current().kind == TokenKind::kName && current().text == text;
  }
  bool accept_operator(std::string_view text) { return at_operator(text) && (take(), true); }
  bool accept_name(std::string_view text) { return at_name(text) && (take(), true); }
  void expect_operator(std::string_view text) {
    if (!accept_operator(text)) {
      fail_malformed("got " + quote(current().text) + ", expected " + quote(text));
    }
  }
  void expect_close() {
    if (current().kind != TokenKind::kCloseBlock) {
      fail_malformed("got " + quote(current().text) + ", expected the end of the tag");
    }
    take();
  }
  std::string expect_name() {
    if (current().kind != TokenKind::kName) {
      fail_malformed("got " + quote(current().text) + ", expected a name");
    }
    return take().text;
  }

  int depth_ = 0;
  std::optional<Error> error_;

 private:
  std::vector<Token> tokens_;
  size_t at_ = 0;
};

}  // namespace touchstone::chat_template
