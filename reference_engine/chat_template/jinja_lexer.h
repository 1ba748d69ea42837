// Cuts a template into text and tags, with trim_blocks, lstrip_blocks and the - and + marks, and
// tags into tokens. Source: Jinja 3.1 lexer.py. Pure; thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace touchstone::chat_template {

enum class TokenKind {
  kText,        ///< template text, between tags
  kOpenBlock,   ///< {%
  kCloseBlock,  ///< %}
  kOpenPrint,   ///< {{
  kClosePrint,  ///< }}
  kName,
  kString,
  kInteger,
  kFloat,
  kOperator,
  kEnd,
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::string text;  ///< name, operator, text; strings with their escapes resolved
  int line = 1;
};

/// ERRORS: kMalformed with the line.
Result<std::vector<Token>> tokenize(std::string_view source);

}  // namespace touchstone::chat_template
