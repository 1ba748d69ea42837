#include "reference_engine/chat_template/jinja_evaluator.h"

#include <algorithm>
#include <optional>

#include "base/check.h"
#include "reference_engine/chat_template/jinja_builtins.h"
#include "reference_engine/chat_template/jinja_operators.h"

namespace touchstone::chat_template {
namespace {

constexpr int64_t kStepsMax = 2'000'000;
// Large values cost more steps, so that the limit bounds time and not only the number of
// expressions.
constexpr size_t kTextBytesPerStep = 256;
constexpr size_t kItemsPerStep = 16;
constexpr int kCallDepthMax = 40;

constexpr std::string_view kStrftimeNow = "strftime_now";

using Scope = std::map<std::string, Value>;
enum class Flow { kNormal, kBreak, kContinue };

// After the first error every function returns quickly with undefined values.
class Evaluator {
 public:
  Evaluator(const Dict& context, std::optional<int64_t> now) : now_(now) {
    scopes_.emplace_back();
    for (const auto& [name, value] : context) scopes_.back()[name] = value;
  }

  Result<std::string> run(const Body& body) {
    std::string out;
    execute(body, out);
    if (error_) return *error_;
    return out;
  }

 private:
  void fail(const Error& error, int line) {
    if (!error_)
      error_ =
          Error{error.code,
                raised_ ? error.message : "line " + std::to_string(line) + ": " + error.message,
                {}};
  }
  Value take(Result<Value> result, int line) {
    if (result) return std::move(result).value();
    fail(result.error(), line);
    return {};
  }
  bool step(int line) {
    if (++steps_ > kStepsMax) fail(invalid_argument("the template takes too many steps"), line);
    return !error_;
  }
  void check_size(size_t size, int line) {
    if (size > kTextMax) fail(invalid_argument("the template makes too much text"), line);
  }

  // ---- statements ----

  Flow execute(const Body& body, std::string& out) {
    for (const auto& stmt : body) {
      if (!step(stmt->line)) return Flow::kBreak;
      const Flow flow = execute(*stmt, out);
      if (flow != Flow::kNormal) return flow;
    }
    return Flow::kNormal;
  }

  Flow execute(const Stmt& stmt, std::string& out) {
    switch (stmt.kind) {
      case StmtKind::kText:
        out += stmt.text;
        break;
      case StmtKind::kPrint:
        out += eval(*stmt.expr).str();
        break;
      case StmtKind::kIf:
        for (const auto& [condition, body] : stmt.branches) {
          if (!condition || eval(*condition).truthy()) return execute(body, out);
        }
        return Flow::kNormal;
      case StmtKind::kFor:
        loop(stmt, out);
        break;
      case StmtKind::kSet:
        assign(stmt);
        break;
      case StmtKind::kMacro:
        scopes_.back()[stmt.macro->name] =
            Value(Value::Storage(static_cast<const Macro*>(stmt.macro.get())));
        break;
      case StmtKind::kBlock:
        return execute(stmt.body, out);
      case StmtKind::kBreak:
        return Flow::kBreak;
      case StmtKind::kContinue:
        return Flow::kContinue;
    }
    check_size(out.size(), stmt.line);
    return Flow::kNormal;
  }

  void bind(const std::vector<std::string>& targets, const Value& value, Scope& scope, int line) {
    if (targets.size() == 1) {
      scope[targets[0]] = value;
      return;
    }
    auto items = iterate(value);
    if (!items || items->size() != targets.size()) {
      fail(invalid_argument("cannot unpack " + value.repr().substr(0, 60) + " into " +
                            std::to_string(targets.size()) + " names"),
           line);
      return;
    }
    for (size_t i = 0; i < targets.size(); ++i) scope[targets[i]] = (*items)[i];
  }

  void assign(const Stmt& stmt) {
    Value value;
    if (stmt.expr) {
      value = eval(*stmt.expr);
    } else {
      std::string text;
      execute(stmt.body, text);
      value = Value::text(std::move(text));
    }
    if (error_) return;
    if (stmt.attribute.empty()) {
      bind(stmt.targets, value, scopes_.back(), stmt.line);
      return;
    }
    Namespace* space = look_up(stmt.targets[0]).as_namespace();
    if (space == nullptr) {
      fail(invalid_argument("cannot assign attribute on non-namespace object"), stmt.line);
    } else if (value.as_namespace() != nullptr) {
      fail(invalid_argument("a namespace in a namespace"), stmt.line);
    } else {
      space->members[stmt.attribute] = value;
    }
  }

  // Which items pass the loop's own condition is known before the first one runs: loop.last and
  // loop.length count only those.
  List loop_items(const Stmt& stmt) {
    auto items = iterate(eval(*stmt.expr));
    if (!items) {
      fail(items.error(), stmt.line);
      return {};
    }
    if (!stmt.condition) return std::move(*items);
    List kept;
    for (const Value& each : *items) {
      if (!step(stmt.line)) return {};
      scopes_.emplace_back();
      bind(stmt.targets, each, scopes_.back(), stmt.line);
      if (eval(*stmt.condition).truthy()) kept.push_back(each);
      scopes_.pop_back();
    }
    return kept;
  }

  static Value loop_value(const List& items, size_t i) {
    const auto index = static_cast<int64_t>(i);
    const auto size = static_cast<int64_t>(items.size());
    return Value::dict(
        {{"index", Value::integer(index + 1)},
         {"index0", Value::integer(index)},
         {"revindex", Value::integer(size - index)},
         {"revindex0", Value::integer(size - index - 1)},
         {"first", Value::boolean(i == 0)},
         {"last", Value::boolean(i + 1 == items.size())},
         {"length", Value::integer(size)},
         {"previtem", i == 0 ? Value::undefined("there is no previous item") : items[i - 1]},
         {"nextitem",
          i + 1 == items.size() ? Value::undefined("there is no next item") : items[i + 1]}});
  }

  void loop(const Stmt& stmt, std::string& out) {
    const List items = loop_items(stmt);
    if (error_) return;
    if (items.empty()) {
      execute(stmt.otherwise, out);
      return;
    }
    for (size_t i = 0; i < items.size() && step(stmt.line); ++i) {
      scopes_.emplace_back();
      bind(stmt.targets, items[i], scopes_.back(), stmt.line);
      scopes_.back()["loop"] = loop_value(items, i);
      const Flow flow = execute(stmt.body, out);
      scopes_.pop_back();
      if (flow == Flow::kBreak) break;
    }
  }

  // ---- expressions ----

  Value look_up(const std::string& name) const {
    // A macro's body sees its own scopes and the outermost one.
    for (size_t i = scopes_.size(); i > first_scope_; --i) {
      const auto found = scopes_[i - 1].find(name);
      if (found != scopes_[i - 1].end()) return found->second;
    }
    if (const auto found = scopes_[0].find(name); found != scopes_[0].end()) return found->second;
    if (is_function(name) || (name == kStrftimeNow && now_)) {
      return Value(Value::Storage(Function{name}));
    }
    return Value::undefined("'" + name + "' is undefined");
  }

  Value eval(const Expr& expr) {
    if (!step(expr.line)) return {};
    Value value = eval_unpaid(expr);
    if (const auto* text = value.as_text())
      steps_ += static_cast<int64_t>(text->size() / kTextBytesPerStep);
    if (const auto* items = value.as_list())
      steps_ += static_cast<int64_t>(items->size() / kItemsPerStep);
    return value;
  }

  Value eval_unpaid(const Expr& expr) {
    switch (expr.kind) {
      case ExprKind::kLiteral:
        return expr.value;
      case ExprKind::kName:
        return look_up(expr.name);
      case ExprKind::kList:
      case ExprKind::kTuple: {
        List items;
        for (const auto& part : expr.parts) items.push_back(eval(*part));
        return expr.kind == ExprKind::kList ? Value::list(std::move(items))
                                            : Value::tuple(std::move(items));
      }
      case ExprKind::kDict:
        return dict(expr);
      case ExprKind::kAttribute:
        return take(attribute(eval(*expr.parts[0]), expr.name), expr.line);
      case ExprKind::kItem: {
        const Value object = eval(*expr.parts[0]);
        return take(item(object, eval(*expr.parts[1])), expr.line);
      }
      case ExprKind::kSlice: {
        const Value object = eval(*expr.parts[0]);
        const Value begin = eval(*expr.parts[1]);
        const Value end = eval(*expr.parts[2]);
        return take(slice(object, begin, end, eval(*expr.parts[3])), expr.line);
      }
      case ExprKind::kCall:
        return call(expr);
      case ExprKind::kFilter: {
        const Value value = eval(*expr.parts[0]);
        const CallArguments arguments = eval_arguments(expr.arguments);
        return error_ ? Value() : take(apply_filter(expr.name, value, arguments), expr.line);
      }
      case ExprKind::kTest: {
        const Value value = eval(*expr.parts[0]);
        const CallArguments arguments = eval_arguments(expr.arguments);
        return error_ ? Value() : take(apply_test(expr.name, value, arguments), expr.line);
      }
      case ExprKind::kNot:
        return Value::boolean(!eval(*expr.parts[0]).truthy());
      case ExprKind::kNegative:
        return take(negate(eval(*expr.parts[0])), expr.line);
      case ExprKind::kBinary:
        return binary(expr);
      case ExprKind::kCompare:
        return compare(expr);
      case ExprKind::kTernary:
        return eval(eval(*expr.parts[0]).truthy() ? *expr.parts[1] : *expr.parts[2]);
    }
    return {};
  }

  Value dict(const Expr& expr) {
    Dict members;
    for (size_t i = 0; i + 1 < expr.parts.size(); i += 2) {
      const std::string key = eval(*expr.parts[i]).str();
      Value value = eval(*expr.parts[i + 1]);
      const auto same = std::find_if(members.begin(), members.end(),
                                     [&](const auto& member) { return member.first == key; });
      if (same != members.end()) {
        same->second = std::move(value);
      } else {
        members.emplace_back(key, std::move(value));
      }
    }
    return Value::dict(std::move(members));
  }

  CallArguments eval_arguments(const Arguments& arguments) {
    CallArguments result;
    for (const auto& each : arguments.positional) result.positional.push_back(eval(*each));
    for (const auto& [name, each] : arguments.named) result.named.emplace_back(name, eval(*each));
    return result;
  }

  Value call(const Expr& expr) {
    const Expr& callee = *expr.parts[0];
    if (callee.kind == ExprKind::kAttribute) {
      const Value object = eval(*callee.parts[0]);
      const CallArguments arguments = eval_arguments(expr.arguments);
      if (error_) return {};
      if (callee.name == "cycle") return cycle(object, arguments, expr.line);
      return take(call_method(object, callee.name, arguments), expr.line);
    }
    const Value function = eval(callee);
    const CallArguments arguments = eval_arguments(expr.arguments);
    if (error_) return {};
    if (const auto* named = function.get<Function>()) {
      if (named->name == kStrftimeNow) return take(format_time(arguments, *now_), expr.line);
      raised_ = named->name == "raise_exception";
      Value result = take(call_function(named->name, arguments), expr.line);
      raised_ = false;
      return result;
    }
    if (const auto* macro = function.get<const Macro*>())
      return call_macro(**macro, arguments, expr.line);
    fail(invalid_argument(function.is_undefined() ? function.get<Undefined>()->problem
                                                  : std::string("'") + function.type_name() +
                                                        "' object is not callable"),
         expr.line);
    return {};
  }

  Value cycle(const Value& loop_object, const CallArguments& arguments, int line) {
    const auto index = take(attribute(loop_object, "index0"), line).as_integer();
    if (!index || arguments.positional.empty()) {
      fail(invalid_argument("cycle() of something that is no loop"), line);
      return {};
    }
    return arguments.positional[static_cast<size_t>(*index) % arguments.positional.size()];
  }

  Value call_macro(const Macro& macro, const CallArguments& arguments, int line) {
    if (++call_depth_ > kCallDepthMax)
      fail(invalid_argument("macros call each other too deep"), line);
    if (arguments.positional.size() > macro.parameters.size()) {
      fail(invalid_argument("macro '" + macro.name + "' takes " +
                            std::to_string(macro.parameters.size()) + " argument(s)"),
           line);
    }
    std::string out;
    if (!error_) {
      const size_t outer = std::exchange(first_scope_, scopes_.size());
      scopes_.emplace_back();
      for (size_t i = 0; i < macro.parameters.size(); ++i) {
        const auto& [name, fallback] = macro.parameters[i];
        const Value* given = arguments.get(i, name);
        scopes_.back()[name] = given != nullptr ? *given
                               : fallback
                                   ? eval(*fallback)
                                   : Value::undefined("parameter '" + name + "' was not provided");
      }
      execute(macro.body, out);
      scopes_.pop_back();
      first_scope_ = outer;
    }
    --call_depth_;
    return Value::text(std::move(out));
  }

  Value binary(const Expr& expr) {
    Value left = eval(*expr.parts[0]);
    if (expr.name == "and") return left.truthy() ? eval(*expr.parts[1]) : left;
    if (expr.name == "or") return left.truthy() ? left : eval(*expr.parts[1]);
    const Value right = eval(*expr.parts[1]);
    return error_ ? Value() : take(operate(expr.name, left, right), expr.line);
  }

  Value compare(const Expr& expr) {
    Value left = eval(*expr.parts[0]);
    for (size_t i = 0; i < expr.operators.size(); ++i) {
      Value right = eval(*expr.parts[i + 1]);
      if (error_) return {};
      const auto result = holds(expr.operators[i], left, right);
      if (!result) fail(result.error(), expr.line);
      if (!result || !*result) return Value::boolean(false);
      left = std::move(right);
    }
    return Value::boolean(true);
  }

  std::vector<Scope> scopes_;
  size_t first_scope_ = 0;
  int64_t steps_ = 0;
  int call_depth_ = 0;
  bool raised_ = false;
  std::optional<int64_t> now_;  // Unix time in nanoseconds
  std::optional<Error> error_;
};

}  // namespace

Result<std::string> evaluate(const Body& body, const Dict& context, std::optional<int64_t> now) {
  return Evaluator(context, now).run(body);
}

}  // namespace touchstone::chat_template
