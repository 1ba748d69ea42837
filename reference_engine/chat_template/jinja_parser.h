// Templates as a tree. Source: Jinja 3.1 parser.py (grammar and precedence). What the evaluator
// does not know is refused here, by name and line. Trees are immutable; thread-safe.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "reference_engine/chat_template/jinja_value.h"

namespace touchstone::chat_template {

enum class ExprKind {
  kLiteral,    // value
  kName,       // name
  kList,       // parts
  kTuple,      // parts
  kDict,       // parts: key, value, key, value, …
  kAttribute,  // parts[0].name
  kItem,       // parts[0][parts[1]]
  kSlice,      // parts[0][parts[1]:parts[2]:parts[3]]; absent bounds are literals none
  kCall,       // parts[0](arguments)
  kFilter,     // parts[0] | name(arguments)
  kTest,       // parts[0] is name(arguments)
  kNot,
  kNegative,
  kBinary,   // name: + - * / // % ** ~ and or
  kCompare,  // parts[0] operators[0] parts[1] operators[1] parts[2] …
  kTernary,  // parts[1] when parts[0], else parts[2] (literal undefined when absent)
};

struct Expr;
using ExprPtr = std::unique_ptr<Expr>;

struct Arguments {
  std::vector<ExprPtr> positional;
  std::vector<std::pair<std::string, ExprPtr>> named;
};

struct Expr {
  ExprKind kind = ExprKind::kLiteral;
  int line = 0;
  std::string name;
  Value value;
  std::vector<ExprPtr> parts;
  std::vector<std::string> operators;
  Arguments arguments;
};

enum class StmtKind {
  kText,   // text
  kPrint,  // expr
  kIf,     // branches: condition (null: else) and body
  kFor,    // targets in expr if condition: body, else: otherwise
  kSet,    // targets = expr, or the text of body when expr is null
  kMacro,  // macro
  kBlock,  // body, as it is (generation)
  kBreak,
  kContinue,
};

struct Stmt;
using Body = std::vector<std::unique_ptr<Stmt>>;

struct Macro {
  std::string name;
  std::vector<std::pair<std::string, ExprPtr>> parameters;  // name, default or null
  Body body;
};

struct Stmt {
  StmtKind kind = StmtKind::kText;
  int line = 0;
  std::string text;
  ExprPtr expr;
  ExprPtr condition;
  std::vector<std::string> targets;
  std::string attribute;  // {% set target.attribute = … %}
  std::vector<std::pair<ExprPtr, Body>> branches;
  Body body;
  Body otherwise;
  std::unique_ptr<Macro> macro;
};

/// ERRORS: kMalformed, or kUnsupported naming the construct; both with the line.
Result<Body> parse(std::string_view source);

/// Whether some loop of `body` runs over an attribute or item `content`.
bool loops_over_content(const Body& body);

}  // namespace touchstone::chat_template
