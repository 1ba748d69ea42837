#include "reference_engine/chat_template/jinja_parser.h"

#include <algorithm>

#include "reference_engine/chat_template/jinja_expressions.h"

namespace touchstone::chat_template {
namespace {

class Parser final : private ExpressionParser {
 public:
  using ExpressionParser::ExpressionParser;

  Result<Body> run() {
    Body body = statements({});
    if (!error_ && current().kind != TokenKind::kEnd) fail_malformed("unexpected tag");
    if (error_) return *error_;
    return body;
  }

 private:
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

  int loops_ = 0;
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
