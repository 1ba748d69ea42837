#include "reference_engine/chat_template/jinja_operators.h"

#include <cmath>
#include <optional>

#include "reference_engine/chat_template/jinja_builtins.h"

namespace touchstone::chat_template {
namespace {

Error too_much() { return invalid_argument("the template makes too much text"); }

Result<Value> joined(const std::string& left, const std::string& right) {
  if (left.size() + right.size() > kTextMax) return too_much();
  return Value::text(left + right);
}

Result<Value> repeated(const std::string& text, int64_t count) {
  if (count <= 0 || text.empty()) return Value::text("");
  if (static_cast<uint64_t>(count) > kTextMax / text.size()) return too_much();
  std::string out;
  for (int64_t i = 0; i < count; ++i) out += text;
  return Value::text(std::move(out));
}

std::optional<Value> number_result(const std::string& op, double a, double b) {
  if (op == "+") return Value::number(a + b);
  if (op == "-") return Value::number(a - b);
  if (op == "*") return Value::number(a * b);
  if (op == "**") {
    const double power = std::pow(a, b);
    const bool whole =
        a == std::floor(a) && b >= 0 && b == std::floor(b) && std::fabs(power) < 9e15;
    return whole ? Value::integer(static_cast<int64_t>(power)) : Value::number(power);
  }
  if (b == 0) return std::nullopt;
  if (op == "/") return Value::number(a / b);
  if (op == "//") return Value::number(std::floor(a / b));
  if (op == "%") return Value::number(a - b * std::floor(a / b));
  return std::nullopt;
}

// nullopt: no such operation, division by zero, or a result beyond int64.
std::optional<Value> integer_result(const std::string& op, int64_t a, int64_t b) {
  int64_t result = 0;
  if (op == "+")
    return __builtin_add_overflow(a, b, &result) ? std::nullopt
                                                 : std::optional(Value::integer(result));
  if (op == "-")
    return __builtin_sub_overflow(a, b, &result) ? std::nullopt
                                                 : std::optional(Value::integer(result));
  if (op == "*")
    return __builtin_mul_overflow(a, b, &result) ? std::nullopt
                                                 : std::optional(Value::integer(result));
  if (b == 0 || (a == INT64_MIN && b == -1)) return std::nullopt;
  if (op == "/") return Value::number(static_cast<double>(a) / static_cast<double>(b));
  // Python rounds the quotient down and gives the remainder the divisor's sign.
  const int64_t remainder = a % b;
  const bool adjust = remainder != 0 && (remainder < 0) != (b < 0);
  if (op == "//") return Value::integer(a / b - (adjust ? 1 : 0));
  if (op == "%") return Value::integer(adjust ? remainder + b : remainder);
  return number_result(op, static_cast<double>(a), static_cast<double>(b));
}

}  // namespace

Result<Value> negate(const Value& value) {
  if (const auto integer = value.as_integer(); integer && *integer != INT64_MIN) {
    return Value::integer(-*integer);
  }
  if (const auto number = value.as_number()) return Value::number(-*number);
  return invalid_argument(std::string("bad operand type for unary -: '") + value.type_name() + "'");
}

Result<Value> operate(const std::string& op, const Value& left, const Value& right) {
  if (op == "~") return joined(left.str(), right.str());
  if (op == "+" && left.as_text() && right.as_text()) {
    return joined(*left.as_text(), *right.as_text());
  }
  if (op == "+" && left.as_list() && right.as_list()) {
    List items = *left.as_list();
    items.insert(items.end(), right.as_list()->begin(), right.as_list()->end());
    if (items.size() > kTextMax) return too_much();
    return Value::list(std::move(items));
  }
  if (op == "*" && left.as_text() && right.as_integer()) {
    return repeated(*left.as_text(), *right.as_integer());
  }
  std::optional<Value> result;
  if (left.as_integer() && right.as_integer()) {
    result = integer_result(op, *left.as_integer(), *right.as_integer());
  } else if (left.as_number() && right.as_number()) {
    result = number_result(op, *left.as_number(), *right.as_number());
  }
  if (result) return *std::move(result);
  const Value& wrong = left.is_undefined() ? left : right;
  return invalid_argument(wrong.is_undefined()
                              ? wrong.get<Undefined>()->problem
                              : "unsupported operand type(s) for " + op + ": '" + left.type_name() +
                                    "' and '" + right.type_name() + "'");
}

Result<bool> holds(const std::string& op, const Value& left, const Value& right) {
  if (op == "==") return equal(left, right);
  if (op == "!=") return !equal(left, right);
  if (op == "in" || op == "not in") {
    const auto found = contains(right, left);
    if (!found) return found.error();
    return found->truthy() == (op == "in");
  }
  const auto below = less(left, right);
  const auto above = less(right, left);
  if (!below || !above) {
    return invalid_argument("'" + op + "' not supported between instances of '" + left.type_name() +
                            "' and '" + right.type_name() + "'");
  }
  if (op == "<") return *below;
  if (op == ">") return *above;
  const bool same = equal(left, right);
  return op == "<=" ? *below || same : *above || same;
}

}  // namespace touchstone::chat_template
