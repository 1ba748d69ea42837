// Tests, `value is name(arguments)`. Source: Jinja 3.1 tests.py.
#include <array>
#include <cmath>

#include "base/text.h"
#include "base/utf8.h"
#include "reference_engine/chat_template/jinja_builtins.h"
#include "reference_engine/chat_template/jinja_table.h"
#include "reference_engine/chat_template/jinja_text.h"

namespace touchstone::chat_template {
namespace {

Value yes(bool value) { return Value::boolean(value); }
const Value& operand(const CallArguments& a) {
  static const Value none = Value::none();
  return a.positional.empty() ? none : a.positional[0];
}
Result<Value> ordered(std::optional<bool> result) {
  if (!result) return type_error("values that have no order");
  return yes(*result);
}
Result<Value> test_defined(const Value& v, const CallArguments&) { return yes(!v.is_undefined()); }
Result<Value> test_undefined(const Value& v, const CallArguments&) { return yes(v.is_undefined()); }
Result<Value> test_none(const Value& v, const CallArguments&) { return yes(v.is_none()); }
Result<Value> test_string(const Value& v, const CallArguments&) {
  return yes(v.as_text() != nullptr);
}
Result<Value> test_number(const Value& v, const CallArguments&) {
  return yes(v.as_number().has_value());
}
Result<Value> test_integer(const Value& v, const CallArguments&) {
  return yes(v.get<int64_t>() != nullptr);
}
Result<Value> test_float(const Value& v, const CallArguments&) {
  return yes(v.get<double>() != nullptr);
}
Result<Value> test_boolean(const Value& v, const CallArguments&) {
  return yes(v.get<bool>() != nullptr);
}
Result<Value> test_true(const Value& v, const CallArguments&) {
  return yes(v.get<bool>() != nullptr && *v.get<bool>());
}
Result<Value> test_false(const Value& v, const CallArguments&) {
  return yes(v.get<bool>() != nullptr && !*v.get<bool>());
}
Result<Value> test_mapping(const Value& v, const CallArguments&) {
  return yes(v.as_dict() != nullptr);
}
Result<Value> test_iterable(const Value& v, const CallArguments&) {
  return yes(v.as_text() || v.as_list() || v.as_dict() || v.is_undefined());
}
Result<Value> test_callable(const Value& v, const CallArguments&) {
  return yes(v.get<Function>() != nullptr || v.get<const Macro*>() != nullptr);
}
Result<Value> test_equal(const Value& v, const CallArguments& a) {
  return yes(equal(v, operand(a)));
}
Result<Value> test_different(const Value& v, const CallArguments& a) {
  return yes(!equal(v, operand(a)));
}
Result<Value> test_less(const Value& v, const CallArguments& a) {
  return ordered(less(v, operand(a)));
}
Result<Value> test_greater(const Value& v, const CallArguments& a) {
  return ordered(less(operand(a), v));
}
Result<Value> test_in(const Value& v, const CallArguments& a) { return contains(operand(a), v); }
Result<Value> test_odd(const Value& v, const CallArguments&) {
  return yes(v.as_integer().value_or(0) % 2 != 0);
}
Result<Value> test_even(const Value& v, const CallArguments&) {
  return yes(v.as_integer().value_or(1) % 2 == 0);
}
Result<Value> test_divisible(const Value& v, const CallArguments& a) {
  const auto divisor = operand(a).as_integer();
  if (!divisor || *divisor == 0 || !v.as_integer()) return type_error("divisibleby takes integers");
  return yes(*divisor == -1 || *v.as_integer() % *divisor == 0);
}
Result<Value> test_lower(const Value& v, const CallArguments&) {
  return yes(to_lower(v.str()) == v.str());
}
Result<Value> test_upper(const Value& v, const CallArguments&) {
  return yes(to_upper(v.str()) == v.str());
}

constexpr std::array kTests = {
    Builtin{"boolean", test_boolean},   Builtin{"callable", test_callable},
    Builtin{"defined", test_defined},   Builtin{"divisibleby", test_divisible},
    Builtin{"eq", test_equal},          Builtin{"equalto", test_equal},
    Builtin{"even", test_even},         Builtin{"false", test_false},
    Builtin{"float", test_float},       Builtin{"greaterthan", test_greater},
    Builtin{"gt", test_greater},        Builtin{"in", test_in},
    Builtin{"integer", test_integer},   Builtin{"iterable", test_iterable},
    Builtin{"lessthan", test_less},     Builtin{"lower", test_lower},
    Builtin{"lt", test_less},           Builtin{"mapping", test_mapping},
    Builtin{"ne", test_different},      Builtin{"none", test_none},
    Builtin{"number", test_number},     Builtin{"odd", test_odd},
    Builtin{"sequence", test_iterable}, Builtin{"string", test_string},
    Builtin{"true", test_true},         Builtin{"undefined", test_undefined},
    Builtin{"upper", test_upper},
};

}  // namespace

bool is_test(std::string_view name) { return find_builtin(kTests, name) != nullptr; }

Result<Value> apply_test(std::string_view name, const Value& value,
                         const CallArguments& arguments) {
  return find_builtin(kTests, name)->apply(value, arguments);
}

}  // namespace touchstone::chat_template
