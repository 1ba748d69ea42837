#include "reference_engine/chat_template/jinja_expressions.h"

#include <algorithm>
#include <optional>

#include "reference_engine/chat_template/jinja_builtins.h"

namespace touchstone::chat_template {
namespace {

ExprPtr make(ExprKind kind, int line) {
  auto expr = std::make_unique<Expr>();
  expr->kind = kind;
  expr->line = line;
  return expr;
}

ExprPtr literal(Value value, int line) {
  auto expr = make(ExprKind::kLiteral, line);
  expr->value = std::move(value);
  return expr;
}

}  // namespace

ExprPtr ExpressionParser::tuple_or_expression() {
  ExprPtr first = expression();
  if (!at_operator(",")) return first;
  auto tuple = make(ExprKind::kTuple, current().line);
  tuple->parts.push_back(std::move(first));
  while (accept_operator(",")) {
    if (current().kind == TokenKind::kCloseBlock || current().kind == TokenKind::kClosePrint) break;
    tuple->parts.push_back(expression());
  }
  return tuple;
}

ExprPtr ExpressionParser::expression() {
  if (++depth_ > kDepthMax) fail_unsupported("nesting this deep");
  ExprPtr value = without_ternary();
  while (accept_name("if")) {
    auto ternary = make(ExprKind::kTernary, current().line);
    ternary->parts.push_back(without_ternary());
    ternary->parts.push_back(std::move(value));
    ternary->parts.push_back(accept_name("else") ? expression() : literal(Value(), ternary->line));
    value = std::move(ternary);
  }
  --depth_;
  return value;
}

ExprPtr ExpressionParser::without_ternary() {
  ExprPtr left = conjunction();
  while (accept_name("or")) left = binary("or", std::move(left), conjunction());
  return left;
}

ExprPtr ExpressionParser::conjunction() {
  ExprPtr left = negation();
  while (accept_name("and")) left = binary("and", std::move(left), negation());
  return left;
}

ExprPtr ExpressionParser::negation() {
  if (!at_name("not")) return comparison();
  if (++depth_ > kDepthMax) fail_unsupported("nesting this deep");
  auto expr = make(ExprKind::kNot, take().line);
  expr->parts.push_back(negation());
  --depth_;
  return expr;
}

std::optional<std::string> ExpressionParser::comparison_operator() {
  for (const std::string_view text : {"==", "!=", "<", ">", "<=", ">="}) {
    if (accept_operator(text)) return std::string(text);
  }
  if (accept_name("in")) return "in";
  if (at_name("not") && next().kind == TokenKind::kName && next().text == "in") {
    take();
    take();
    return "not in";
  }
  return std::nullopt;
}

ExprPtr ExpressionParser::comparison() {
  ExprPtr first = sum();
  auto op = comparison_operator();
  if (!op) return first;
  auto expr = make(ExprKind::kCompare, current().line);
  expr->parts.push_back(std::move(first));
  while (op) {
    expr->operators.push_back(*op);
    expr->parts.push_back(sum());
    op = comparison_operator();
  }
  return expr;
}

ExprPtr ExpressionParser::binary(const std::string& op, ExprPtr left, ExprPtr right) {
  auto expr = make(ExprKind::kBinary, current().line);
  expr->name = op;
  expr->parts.push_back(std::move(left));
  expr->parts.push_back(std::move(right));
  return expr;
}

ExprPtr ExpressionParser::chain(const std::vector<std::string>& operators, Level operand) {
  ExprPtr left = (this->*operand)();
  while (!error_) {
    const auto op = std::find_if(operators.begin(), operators.end(),
                                 [&](const std::string& text) { return at_operator(text); });
    if (op == operators.end()) break;
    take();
    left = binary(*op, std::move(left), (this->*operand)());
  }
  return left;
}
ExprPtr ExpressionParser::sum() { return chain({"+", "-"}, &ExpressionParser::concatenation); }
ExprPtr ExpressionParser::concatenation() { return chain({"~"}, &ExpressionParser::product); }
ExprPtr ExpressionParser::product() { return chain({"*", "//", "/", "%"}, &ExpressionParser::power); }
ExprPtr ExpressionParser::power() { return chain({"**"}, &ExpressionParser::filtered); }

ExprPtr ExpressionParser::filtered() { return filters(signed_()); }

ExprPtr ExpressionParser::signed_() {
  if (at_operator("-") || at_operator("+")) {
    if (++depth_ > kDepthMax) fail_unsupported("nesting this deep");
    const bool negative = take().text == "-";
    ExprPtr inner = signed_();
    --depth_;
    if (!negative) return inner;
    auto expr = make(ExprKind::kNegative, current().line);
    expr->parts.push_back(std::move(inner));
    return expr;
  }
  return postfix(primary());
}

ExprPtr ExpressionParser::primary() {
  const Token token = take();
  switch (token.kind) {
    case TokenKind::kName:
      return name(token);
    case TokenKind::kString: {
      std::string text = token.text;
      while (current().kind == TokenKind::kString) text += take().text;  // adjacent strings join
      return literal(Value::text(std::move(text)), token.line);
    }
    case TokenKind::kInteger: {
      const auto value = parse_int(token.text);
      if (!value) fail_malformed("the number " + token.text + " is too large");
      return literal(Value::integer(value.value_or(0)), token.line);
    }
    case TokenKind::kFloat:
      return literal(Value::number(parse_double(token.text).value_or(0)), token.line);
    case TokenKind::kOperator:
      if (token.text == "(") return parenthesised(token.line);
      if (token.text == "[") return list(token.line);
      if (token.text == "{") return dict(token.line);
      break;
    default:
      break;
  }
  fail_malformed("got " + quote(token.text) + ", expected a value");
  return literal(Value(), token.line);
}

ExprPtr ExpressionParser::name(const Token& token) {
  if (token.text == "true" || token.text == "True")
    return literal(Value::boolean(true), token.line);
  if (token.text == "false" || token.text == "False") {
    return literal(Value::boolean(false), token.line);
  }
  if (token.text == "none" || token.text == "None") return literal(Value::none(), token.line);
  auto expr = make(ExprKind::kName, token.line);
  expr->name = token.text;
  return expr;
}

ExprPtr ExpressionParser::parenthesised(int line) {
  if (accept_operator(")")) return make(ExprKind::kTuple, line);
  ExprPtr first = expression();
  if (!at_operator(",")) {
    expect_operator(")");
    return first;
  }
  auto tuple = make(ExprKind::kTuple, line);
  tuple->parts.push_back(std::move(first));
  while (accept_operator(",") && !at_operator(")")) tuple->parts.push_back(expression());
  expect_operator(")");
  return tuple;
}

ExprPtr ExpressionParser::list(int line) {
  auto expr = make(ExprKind::kList, line);
  while (!error_ && !at_operator("]")) {
    expr->parts.push_back(expression());
    if (!accept_operator(",")) break;
  }
  expect_operator("]");
  return expr;
}

ExprPtr ExpressionParser::dict(int line) {
  auto expr = make(ExprKind::kDict, line);
  while (!error_ && !at_operator("}")) {
    expr->parts.push_back(expression());
    expect_operator(":");
    expr->parts.push_back(expression());
    if (!accept_operator(",")) break;
  }
  expect_operator("}");
  return expr;
}

ExprPtr ExpressionParser::postfix(ExprPtr value) {
  while (!error_) {
    const int line = current().line;
    if (accept_operator(".")) {
      auto expr = make(ExprKind::kAttribute, line);
      expr->name = expect_name();
      expr->parts.push_back(std::move(value));
      value = std::move(expr);
    } else if (accept_operator("[")) {
      value = subscript(std::move(value), line);
    } else if (at_operator("(")) {
      value = call(std::move(value), line);
    } else {
      break;
    }
  }
  return value;
}

ExprPtr ExpressionParser::subscript(ExprPtr value, int line) {
  const auto bound = [&]() -> ExprPtr {
    if (at_operator(":") || at_operator("]")) return literal(Value::none(), line);
    return expression();
  };
  ExprPtr first = bound();
  auto expr = make(at_operator(":") ? ExprKind::kSlice : ExprKind::kItem, line);
  expr->parts.push_back(std::move(value));
  expr->parts.push_back(std::move(first));
  if (expr->kind == ExprKind::kSlice) {
    take();
    expr->parts.push_back(bound());
    expr->parts.push_back(accept_operator(":") ? bound() : literal(Value::none(), line));
  }
  expect_operator("]");
  return expr;
}

ExprPtr ExpressionParser::call(ExprPtr callee, int line) {
  if (callee->kind == ExprKind::kAttribute && !is_method(callee->name)) {
    fail_unsupported("the method " + callee->name + "()");
  }
  auto expr = make(ExprKind::kCall, line);
  expr->parts.push_back(std::move(callee));
  expr->arguments = arguments();
  return expr;
}

Arguments ExpressionParser::arguments() {
  Arguments result;
  expect_operator("(");
  while (!error_ && !at_operator(")")) {
    if (current().kind == TokenKind::kName && next().kind == TokenKind::kOperator &&
        next().text == "=") {
      std::string key = take().text;
      take();
      result.named.emplace_back(std::move(key), expression());
    } else {
      if (at_operator("*") || at_operator("**")) fail_unsupported("unpacking arguments");
      result.positional.push_back(expression());
    }
    if (!accept_operator(",")) break;
  }
  expect_operator(")");
  return result;
}

ExprPtr ExpressionParser::filters(ExprPtr value) {
  while (!error_) {
    const int line = current().line;
    if (accept_operator("|")) {
      auto expr = make(ExprKind::kFilter, line);
      expr->name = expect_name();
      if (!is_filter(expr->name)) fail_unsupported("the filter " + expr->name);
      expr->parts.push_back(std::move(value));
      if (at_operator("(")) expr->arguments = arguments();
      value = std::move(expr);
    } else if (accept_name("is")) {
      value = test(std::move(value), line);
    } else if (at_operator("(")) {
      value = call(std::move(value), line);
    } else {
      break;
    }
  }
  return value;
}

ExprPtr ExpressionParser::test(ExprPtr value, int line) {
  const bool negated = accept_name("not");
  auto expr = make(ExprKind::kTest, line);
  expr->name = expect_name();
  if (!is_test(expr->name)) fail_unsupported("the test " + expr->name);
  expr->parts.push_back(std::move(value));
  const bool operand =
      current().kind == TokenKind::kString || current().kind == TokenKind::kInteger ||
      current().kind == TokenKind::kFloat || at_operator("[") || at_operator("{") ||
      (current().kind == TokenKind::kName && !at_name("else") && !at_name("or") &&
       !at_name("and") && !at_name("is") && !at_name("if") && !at_name("in") && !at_name("not"));
  if (at_operator("(")) {
    expr->arguments = arguments();
  } else if (operand) {
    expr->arguments.positional.push_back(postfix(primary()));
  }
  if (!negated) return expr;
  auto negation = make(ExprKind::kNot, line);
  negation->parts.push_back(std::move(expr));
  return negation;
}

}  // namespace touchstone::chat_template
