#include "reference_engine/chat_template/jinja_parser.h"

#include <algorithm>
#include <optional>

#include "base/text.h"
#include "reference_engine/chat_template/jinja_builtins.h"
#include "reference_engine/chat_template/jinja_lexer.h"

namespace touchstone::chat_template {
namespace {

// Trees are walked recursively, so their depth is limited.
constexpr int kDepthMax = 100;

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

// After the first error every function returns quickly: the current token becomes kEnd.
class Parser {
 public:
  explicit Parser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  Result<Body> run() {
    Body body = statements({});
    if (!error_ && current().kind != TokenKind::kEnd) fail_malformed("unexpected tag");
    if (error_) return *error_;
    return body;
  }

 private:
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

  // Statements up to a tag that starts with one of `ends` (left current, after its opening).
  Body statements(const std::vector<std::string_view>& ends) {
    Body body;
    if (++depth_ > kDepthMax) fail_unsupported("nesting this deep");
    while (!error_) {
      const Token token = current();
      if (token.kind == TokenKind::kText) {
        auto stmt = statement(StmtKind::kText);
        stmt->text = take().text;
        body.push_back(std::move(stmt));
      } else if (token.kind == TokenKind::kOpenPrint) {
        take();
        auto stmt = statement(StmtKind::kPrint);
        stmt->expr = tuple_or_expression();
        if (current().kind != TokenKind::kClosePrint) {
          fail_malformed("got " + quote(current().text) + ", expected }}");
        }
        take();
        body.push_back(std::move(stmt));
      } else if (token.kind == TokenKind::kOpenBlock) {
        const bool ended = std::any_of(ends.begin(), ends.end(), [&](std::string_view end) {
          return next().kind == TokenKind::kName && next().text == end;
        });
        if (ended) break;
        take();
        if (auto stmt = block()) body.push_back(std::move(stmt));
      } else {
        break;
      }
    }
    --depth_;
    return body;
  }

  std::unique_ptr<Stmt> statement(StmtKind kind) {
    auto stmt = std::make_unique<Stmt>();
    stmt->kind = kind;
    stmt->line = current().line;
    return stmt;
  }

  void end_tag(std::string_view name) {
    if (current().kind != TokenKind::kOpenBlock || next().text != name) {
      fail_malformed("expected {% " + std::string(name) + " %}");
      return;
    }
    take();
    take();
    expect_close();
  }

  std::unique_ptr<Stmt> block() {
    const std::string name = expect_name();
    if (name == "if") return if_block();
    if (name == "for") return for_block();
    if (name == "set") return set_block();
    if (name == "macro") return macro_block();
    if (name == "generation") {
      auto stmt = statement(StmtKind::kBlock);
      expect_close();
      stmt->body = statements({"endgeneration"});
      end_tag("endgeneration");
      return stmt;
    }
    if (name == "break" || name == "continue") {
      if (loops_ == 0) fail_malformed("{% " + name + " %} outside a loop");
      auto stmt = statement(name == "break" ? StmtKind::kBreak : StmtKind::kContinue);
      expect_close();
      return stmt;
    }
    fail_unsupported("the tag {% " + name + " %}");
    return nullptr;
  }

  std::unique_ptr<Stmt> if_block() {
    auto stmt = statement(StmtKind::kIf);
    while (!error_) {
      ExprPtr condition = tuple_or_expression();
      expect_close();
      Body body = statements({"elif", "else", "endif"});
      stmt->branches.emplace_back(std::move(condition), std::move(body));
      if (next().text != "elif") break;
      take();
      take();
    }
    if (next().text == "else" && current().kind == TokenKind::kOpenBlock) {
      take();
      take();
      expect_close();
      stmt->branches.emplace_back(nullptr, statements({"endif"}));
    }
    end_tag("endif");
    return stmt;
  }

  std::vector<std::string> target_names() {
    std::vector<std::string> names;
    const bool parenthesised = accept_operator("(");
    do {
      names.push_back(expect_name());
    } while (accept_operator(","));
    if (parenthesised) expect_operator(")");
    return names;
  }

  std::unique_ptr<Stmt> for_block() {
    auto stmt = statement(StmtKind::kFor);
    stmt->targets = target_names();
    if (!accept_name("in")) fail_malformed("a for without in");
    stmt->expr = without_ternary();
    if (accept_name("if")) stmt->condition = expression();
    if (at_name("recursive")) fail_unsupported("a recursive loop");
    expect_close();
    ++loops_;
    stmt->body = statements({"else", "endfor"});
    --loops_;
    if (next().text == "else" && current().kind == TokenKind::kOpenBlock) {
      take();
      take();
      expect_close();
      stmt->otherwise = statements({"endfor"});
    }
    end_tag("endfor");
    return stmt;
  }

  std::unique_ptr<Stmt> set_block() {
    auto stmt = statement(StmtKind::kSet);
    stmt->targets = target_names();
    if (stmt->targets.size() == 1 && accept_operator(".")) stmt->attribute = expect_name();
    if (accept_operator("=")) {
      stmt->expr = tuple_or_expression();
      expect_close();
      return stmt;
    }
    if (at_operator("|")) fail_unsupported("a filter on {% set %}");
    expect_close();
    stmt->body = statements({"endset"});
    end_tag("endset");
    return stmt;
  }

  std::unique_ptr<Stmt> macro_block() {
    auto stmt = statement(StmtKind::kMacro);
    stmt->macro = std::make_unique<Macro>();
    stmt->macro->name = expect_name();
    expect_operator("(");
    while (!error_ && !at_operator(")")) {
      std::string name = expect_name();
      ExprPtr fallback;
      if (accept_operator("=")) fallback = expression();
      stmt->macro->parameters.emplace_back(std::move(name), std::move(fallback));
      if (!accept_operator(",")) break;
    }
    expect_operator(")");
    expect_close();
    stmt->macro->body = statements({"endmacro"});
    end_tag("endmacro");
    return stmt;
  }

  // Expressions, loosest first.
  ExprPtr tuple_or_expression() {
    ExprPtr first = expression();
    if (!at_operator(",")) return first;
    auto tuple = make(ExprKind::kTuple, current().line);
    tuple->parts.push_back(std::move(first));
    while (accept_operator(",")) {
      if (current().kind == TokenKind::kCloseBlock || current().kind == TokenKind::kClosePrint)
        break;
      tuple->parts.push_back(expression());
    }
    return tuple;
  }

  ExprPtr expression() {
    if (++depth_ > kDepthMax) fail_unsupported("nesting this deep");
    ExprPtr value = without_ternary();
    while (accept_name("if")) {
      auto ternary = make(ExprKind::kTernary, current().line);
      ternary->parts.push_back(without_ternary());
      ternary->parts.push_back(std::move(value));
      ternary->parts.push_back(accept_name("else") ? expression()
                                                   : literal(Value(), ternary->line));
      value = std::move(ternary);
    }
    --depth_;
    return value;
  }

  ExprPtr without_ternary() {
    ExprPtr left = conjunction();
    while (accept_name("or")) left = binary("or", std::move(left), conjunction());
    return left;
  }

  ExprPtr conjunction() {
    ExprPtr left = negation();
    while (accept_name("and")) left = binary("and", std::move(left), negation());
    return left;
  }

  ExprPtr negation() {
    if (!at_name("not")) return comparison();
    if (++depth_ > kDepthMax) fail_unsupported("nesting this deep");
    auto expr = make(ExprKind::kNot, take().line);
    expr->parts.push_back(negation());
    --depth_;
    return expr;
  }

  std::optional<std::string> comparison_operator() {
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

  ExprPtr comparison() {
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

  ExprPtr binary(const std::string& op, ExprPtr left, ExprPtr right) {
    auto expr = make(ExprKind::kBinary, current().line);
    expr->name = op;
    expr->parts.push_back(std::move(left));
    expr->parts.push_back(std::move(right));
    return expr;
  }

  using Level = ExprPtr (Parser::*)();
  ExprPtr chain(const std::vector<std::string>& operators, Level operand) {
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
  ExprPtr sum() { return chain({"+", "-"}, &Parser::concatenation); }
  ExprPtr concatenation() { return chain({"~"}, &Parser::product); }
  ExprPtr product() { return chain({"*", "//", "/", "%"}, &Parser::power); }
  ExprPtr power() { return chain({"**"}, &Parser::filtered); }

  ExprPtr filtered() { return filters(signed_()); }

  ExprPtr signed_() {
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

  ExprPtr primary() {
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

  ExprPtr name(const Token& token) {
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

  ExprPtr parenthesised(int line) {
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

  ExprPtr list(int line) {
    auto expr = make(ExprKind::kList, line);
    while (!error_ && !at_operator("]")) {
      expr->parts.push_back(expression());
      if (!accept_operator(",")) break;
    }
    expect_operator("]");
    return expr;
  }

  ExprPtr dict(int line) {
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

  ExprPtr postfix(ExprPtr value) {
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

  ExprPtr subscript(ExprPtr value, int line) {
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

  ExprPtr call(ExprPtr callee, int line) {
    if (callee->kind == ExprKind::kAttribute && !is_method(callee->name)) {
      fail_unsupported("the method " + callee->name + "()");
    }
    auto expr = make(ExprKind::kCall, line);
    expr->parts.push_back(std::move(callee));
    expr->arguments = arguments();
    return expr;
  }

  Arguments arguments() {
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

  ExprPtr filters(ExprPtr value) {
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

  ExprPtr test(ExprPtr value, int line) {
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

  std::vector<Token> tokens_;
  size_t at_ = 0;
  int depth_ = 0;
  int loops_ = 0;
  std::optional<Error> error_;
};

bool is_content(const Expr& expr) {
  if (expr.kind == ExprKind::kAttribute) return expr.name == "content";
  if (expr.kind == ExprKind::kItem) {
    const std::string* key = expr.parts[1]->value.as_text();
    return expr.parts[1]->kind == ExprKind::kLiteral && key != nullptr && *key == "content";
  }
  if (expr.kind == ExprKind::kFilter || expr.kind == ExprKind::kSlice)
    return is_content(*expr.parts[0]);
  return false;
}

}  // namespace

Result<Body> parse(std::string_view source) {
  auto tokens = tokenize(source);
  if (!tokens) return std::move(tokens).error();
  return Parser(std::move(*tokens)).run();
}

bool loops_over_content(const Body& body) {
  return std::any_of(body.begin(), body.end(), [](const std::unique_ptr<Stmt>& stmt) {
    if (stmt->kind == StmtKind::kFor && is_content(*stmt->expr)) return true;
    if (loops_over_content(stmt->body) || loops_over_content(stmt->otherwise)) return true;
    if (stmt->macro && loops_over_content(stmt->macro->body)) return true;
    return std::any_of(stmt->branches.begin(), stmt->branches.end(),
                       [](const auto& branch) { return loops_over_content(branch.second); });
  });
}

}  // namespace touchstone::chat_template
