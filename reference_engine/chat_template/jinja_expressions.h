// Parses expressions of the template language, loosest operator first. Thread-compatible.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "reference_engine/chat_template/jinja_cursor.h"
#include "reference_engine/chat_template/jinja_parser.h"

namespace touchstone::chat_template {

class ExpressionParser : public TokenCursor {
 public:
  using TokenCursor::TokenCursor;

 protected:
  ExprPtr tuple_or_expression();
  ExprPtr expression();
  ExprPtr without_ternary();
  ExprPtr conjunction();
  ExprPtr negation();
  std::optional<std::string> comparison_operator();
  ExprPtr comparison();
  ExprPtr binary(const std::string& op, ExprPtr left, ExprPtr right);
  using Level = ExprPtr (ExpressionParser::*)();
  ExprPtr chain(const std::vector<std::string>& operators, Level operand);
  ExprPtr sum();
  ExprPtr concatenation();
  ExprPtr product();
  ExprPtr power();
  ExprPtr filtered();
  ExprPtr signed_();
  ExprPtr primary();
  ExprPtr name(const Token& token);
  ExprPtr parenthesised(int line);
  ExprPtr list(int line);
  ExprPtr dict(int line);
  ExprPtr postfix(ExprPtr value);
  ExprPtr subscript(ExprPtr value, int line);
  ExprPtr call(ExprPtr callee, int line);
  Arguments arguments();
  ExprPtr filters(ExprPtr value);
  ExprPtr test(ExprPtr value, int line);
};

}  // namespace touchstone::chat_template
