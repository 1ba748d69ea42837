#include "reference_engine/chat_template/jinja_builtins.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/text.h"
#include "base/utf8.h"
#include "reference_engine/chat_template/jinja_text.h"

namespace touchstone::chat_template {
namespace {

// The sandbox that transformers renders in has the same limit.
constexpr int64_t kRangeMax = 100'000;

Result<std::string> text_of(const Value& value) {
  if (value.as_text() || value.is_undefined()) return value.str();
  if (value.is_none() || value.as_number()) return value.str();
  return type_error(std::string("got ") + value.type_name() + ", expected str");
}

std::optional<std::string> optional_text(const Value* value) {
  if (value == nullptr || value->as_text() == nullptr) return std::nullopt;
  return *value->as_text();
}

int64_t integer_or(const Value* value, int64_t fallback) {
  return value == nullptr ? fallback : value->as_integer().value_or(fallback);
}

Value pair_of(const std::string& key, const Value& value) {
  return Value::tuple({Value::text(key), value});
}

// ---- filters ----

Result<Value> filter_trim(const Value& value, const CallArguments& a) {
  auto text = text_of(value);
  if (!text) return std::move(text).error();
  return Value::text(strip(*text, optional_text(a.get(0, "chars")), Side::kBoth));
}
Result<Value> filter_tojson(const Value& value, const CallArguments& a) {
  if (value.is_undefined()) return type_error("Object of type Undefined is not JSON serializable");
  const Value* indent = a.get(1, "indent");
  return Value::text(to_json(value, {.indent = integer_or(indent, -1)}));
}
Result<Value> filter_upper(const Value& value, const CallArguments&) {
  return Value::text(to_upper(value.str()));
}
Result<Value> filter_lower(const Value& value, const CallArguments&) {
  return Value::text(to_lower(value.str()));
}
Result<Value> filter_capitalize(const Value& value, const CallArguments&) {
  return Value::text(capitalize(value.str(), Capitals::kFirstWord));
}
Result<Value> filter_title(const Value& value, const CallArguments&) {
  return Value::text(capitalize(value.str(), Capitals::kEveryWord));
}
Result<Value> filter_length(const Value& value, const CallArguments&) {
  if (value.is_undefined()) return Value::integer(0);
  if (value.as_text())
    return Value::integer(static_cast<int64_t>(count_characters(*value.as_text())));
  if (value.as_list()) return Value::integer(static_cast<int64_t>(value.as_list()->size()));
  if (value.as_dict()) return Value::integer(static_cast<int64_t>(value.as_dict()->size()));
  return type_error(std::string("object of type '") + value.type_name() + "' has no len()");
}
Result<Value> filter_default(const Value& value, const CallArguments& a) {
  const Value* boolean = a.get(1, "boolean");
  const bool falsy = boolean != nullptr && boolean->truthy() && !value.truthy();
  if (!value.is_undefined() && !falsy) return value;
  const Value* fallback = a.get(0, "default_value");
  return fallback == nullptr ? Value::text("") : *fallback;
}
Result<Value> filter_join(const Value& value, const CallArguments& a) {
  auto items = iterate(value);
  if (!items) return std::move(items).error();
  const std::string separator = optional_text(a.get(0, "d")).value_or("");
  const Value* by = a.get(1, "attribute");
  std::string out;
  for (size_t i = 0; i < items->size(); ++i) {
    Value part = (*items)[i];
    if (by != nullptr) {
      auto found = item(part, *by);
      if (!found) return std::move(found).error();
      part = *found;
    }
    out += (i == 0 ? "" : separator) + part.str();
  }
  return Value::text(out);
}
Result<Value> filter_first(const Value& value, const CallArguments&) {
  auto items = iterate(value);
  if (!items) return std::move(items).error();
  return items->empty() ? Value::undefined("No first item, sequence was empty.") : items->front();
}
Result<Value> filter_last(const Value& value, const CallArguments&) {
  auto items = iterate(value);
  if (!items) return std::move(items).error();
  return items->empty() ? Value::undefined("No last item, sequence was empty.") : items->back();
}
Result<Value> filter_replace(const Value& value, const CallArguments& a) {
  const auto from = optional_text(a.get(0, "old"));
  const auto to = optional_text(a.get(1, "new"));
  if (!from || !to) return type_error("replace takes two texts");
  return Value::text(replace(value.str(), *from, *to, integer_or(a.get(2, "count"), -1)));
}
Result<Value> filter_list(const Value& value, const CallArguments&) {
  auto items = iterate(value);
  if (!items) return std::move(items).error();
  return Value::list(std::move(*items));
}
Result<Value> filter_string(const Value& value, const CallArguments&) {
  return Value::text(value.str());
}
Result<Value> filter_int(const Value& value, const CallArguments& a) {
  const int64_t fallback = integer_or(a.get(0, "default"), 0);
  if (value.as_text()) {
    const auto number = parse_double(trim(*value.as_text()));
    return Value::integer(number && std::fabs(*number) < 9e18 ? static_cast<int64_t>(*number)
                                                              : fallback);
  }
  const auto number = value.as_number();
  if (value.as_integer()) return Value::integer(*value.as_integer());
  return Value::integer(number && std::fabs(*number) < 9e18 ? static_cast<int64_t>(*number)
                                                            : fallback);
}
Result<Value> filter_float(const Value& value, const CallArguments&) {
  if (value.as_text()) return Value::number(parse_double(trim(*value.as_text())).value_or(0.0));
  return Value::number(value.as_number().value_or(0.0));
}
Result<Value> filter_abs(const Value& value, const CallArguments&) {
  if (value.as_integer() && *value.as_integer() > INT64_MIN) {
    return Value::integer(std::abs(*value.as_integer()));
  }
  if (value.as_number()) return Value::number(std::fabs(*value.as_number()));
  return type_error("abs takes a number");
}
Result<Value> filter_items(const Value& value, const CallArguments& a) {
  if (value.is_undefined()) return Value::list({});
  return call_method(value, "items", a);
}
Result<Value> filter_reverse(const Value& value, const CallArguments&) {
  auto items = iterate(value);
  if (!items) return std::move(items).error();
  std::reverse(items->begin(), items->end());
  if (!value.as_text()) return Value::list(std::move(*items));
  std::string out;
  for (const Value& character : *items) out += character.str();
  return Value::text(out);
}
Result<Value> filter_sum(const Value& value, const CallArguments&) {
  auto items = iterate(value);
  if (!items) return std::move(items).error();
  int64_t whole = 0;
  double total = 0;
  bool integers = true;
  for (const Value& each : *items) {
    if (!each.as_number()) return type_error("sum takes numbers");
    total += *each.as_number();
    integers =
        integers && each.as_integer() && !__builtin_add_overflow(whole, *each.as_integer(), &whole);
  }
  return integers ? Value::integer(whole) : Value::number(total);
}
Result<Value> filter_unique(const Value& value, const CallArguments&) {
  auto items = iterate(value);
  if (!items) return std::move(items).error();
  List kept;
  for (const Value& each : *items) {
    const bool seen = std::any_of(kept.begin(), kept.end(),
                                  [&](const Value& other) { return equal(each, other); });
    if (!seen) kept.push_back(each);
  }
  return Value::list(std::move(kept));
}
Result<Value> filter_sort(const Value& value, const CallArguments& a) {
  auto items = iterate(value);
  if (!items) return std::move(items).error();
  for (size_t i = 1; i < items->size(); ++i) {
    if (!less((*items)[0], (*items)[i])) return type_error("sort takes numbers or texts");
  }
  std::stable_sort(items->begin(), items->end(), [](const Value& left, const Value& right) {
    return less(left, right).value_or(false);
  });
  const Value* descending = a.get(0, "reverse");
  if (descending != nullptr && descending->truthy()) std::reverse(items->begin(), items->end());
  return Value::list(std::move(*items));
}
Result<Value> filter_dictsort(const Value& value, const CallArguments&) {
  const Dict* dict = value.as_dict();
  if (dict == nullptr) return type_error("dictsort takes a mapping");
  Dict sorted = *dict;
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto& left, const auto& right) {
    return to_lower(left.first) < to_lower(right.first);
  });
  List pairs;
  for (const auto& [key, member] : sorted) pairs.push_back(pair_of(key, member));
  return Value::list(std::move(pairs));
}
Result<Value> filter_indent(const Value& value, const CallArguments& a) {
  const std::string pad(
      static_cast<size_t>(std::clamp<int64_t>(integer_or(a.get(0, "width"), 4), 0, 256)), ' ');
  const Value* first = a.get(1, "first");
  const Value* blank = a.get(2, "blank");
  const auto lines = split(value.str(), "\n", -1, Side::kLeft);
  std::string out;
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) out += "\n";
    const bool padded = i == 0 ? first != nullptr && first->truthy()
                               : !lines[i].empty() || (blank != nullptr && blank->truthy());
    out += (padded ? pad : "") + lines[i];
  }
  return Value::text(out);
}
Result<Value> filter_escape(const Value& value, const CallArguments&) {
  return Value::text(escape_html(value.str()));
}
Result<Value> filter_safe(const Value& value, const CallArguments&) { return value; }
Result<Value> filter_map(const Value& value, const CallArguments& a) {
  auto items = iterate(value);
  if (!items) return std::move(items).error();
  const Value* by = a.get(99, "attribute");
  const auto name = a.positional.empty() ? std::nullopt : optional_text(&a.positional[0]);
  if (by == nullptr && (!name || !is_filter(*name)))
    return type_error("map takes attribute= or a filter");
  CallArguments rest;
  if (by == nullptr) rest.positional.assign(a.positional.begin() + 1, a.positional.end());
  List mapped;
  for (const Value& each : *items) {
    auto result = by != nullptr ? item(each, *by) : apply_filter(*name, each, rest);
    if (!result) return std::move(result).error();
    mapped.push_back(std::move(*result));
  }
  return Value::list(std::move(mapped));
}

enum class Keep { kPassing, kFailing };
enum class Look { kItem, kAttribute };
Result<Value> select(const Value& value, const CallArguments& a, Keep keep, Look look) {
  auto items = iterate(value);
  if (!items) return std::move(items).error();
  const size_t skip = look == Look::kAttribute ? 1 : 0;
  if (a.positional.size() < skip) return type_error("an attribute is missing");
  std::optional<std::string> test;
  CallArguments rest;
  if (a.positional.size() > skip) {
    test = optional_text(&a.positional[skip]);
    if (!test || !is_test(*test)) return type_error("no such test");
    rest.positional.assign(a.positional.begin() + static_cast<ptrdiff_t>(skip) + 1,
                           a.positional.end());
  }
  List kept;
  for (const Value& each : *items) {
    auto subject = look == Look::kAttribute ? item(each, a.positional[0]) : Result<Value>(each);
    if (!subject) return std::move(subject).error();
    auto passes = test ? apply_test(*test, *subject, rest) : Result<Value>(*subject);
    if (!passes) return std::move(passes).error();
    if (passes->truthy() == (keep == Keep::kPassing)) kept.push_back(each);
  }
  return Value::list(std::move(kept));
}
Result<Value> filter_select(const Value& value, const CallArguments& a) {
  return select(value, a, Keep::kPassing, Look::kItem);
}
Result<Value> filter_reject(const Value& value, const CallArguments& a) {
  return select(value, a, Keep::kFailing, Look::kItem);
}
Result<Value> filter_selectattr(const Value& value, const CallArguments& a) {
  return select(value, a, Keep::kPassing, Look::kAttribute);
}
Result<Value> filter_rejectattr(const Value& value, const CallArguments& a) {
  return select(value, a, Keep::kFailing, Look::kAttribute);
}

using Builtin = Result<Value> (*)(const Value&, const CallArguments&);
struct Entry {
  std::string_view name;
  Builtin apply;
};
constexpr std::array kFilters = {
    Entry{"abs", filter_abs},
    Entry{"capitalize", filter_capitalize},
    Entry{"count", filter_length},
    Entry{"d", filter_default},
    Entry{"default", filter_default},
    Entry{"dictsort", filter_dictsort},
    Entry{"e", filter_escape},
    Entry{"escape", filter_escape},
    Entry{"first", filter_first},
    Entry{"float", filter_float},
    Entry{"indent", filter_indent},
    Entry{"int", filter_int},
    Entry{"items", filter_items},
    Entry{"join", filter_join},
    Entry{"last", filter_last},
    Entry{"length", filter_length},
    Entry{"list", filter_list},
    Entry{"lower", filter_lower},
    Entry{"map", filter_map},
    Entry{"reject", filter_reject},
    Entry{"rejectattr", filter_rejectattr},
    Entry{"replace", filter_replace},
    Entry{"reverse", filter_reverse},
    Entry{"safe", filter_safe},
    Entry{"select", filter_select},
    Entry{"selectattr", filter_selectattr},
    Entry{"sort", filter_sort},
    Entry{"string", filter_string},
    Entry{"sum", filter_sum},
    Entry{"title", filter_title},
    Entry{"tojson", filter_tojson},
    Entry{"trim", filter_trim},
    Entry{"unique", filter_unique},
    Entry{"upper", filter_upper},
};

// ---- tests ----

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
    Entry{"boolean", test_boolean},   Entry{"callable", test_callable},
    Entry{"defined", test_defined},   Entry{"divisibleby", test_divisible},
    Entry{"eq", test_equal},          Entry{"equalto", test_equal},
    Entry{"even", test_even},         Entry{"false", test_false},
    Entry{"float", test_float},       Entry{"greaterthan", test_greater},
    Entry{"gt", test_greater},        Entry{"in", test_in},
    Entry{"integer", test_integer},   Entry{"iterable", test_iterable},
    Entry{"lessthan", test_less},     Entry{"lower", test_lower},
    Entry{"lt", test_less},           Entry{"mapping", test_mapping},
    Entry{"ne", test_different},      Entry{"none", test_none},
    Entry{"number", test_number},     Entry{"odd", test_odd},
    Entry{"sequence", test_iterable}, Entry{"string", test_string},
    Entry{"true", test_true},         Entry{"undefined", test_undefined},
    Entry{"upper", test_upper},
};

template <size_t N>
const Entry* find_entry(const std::array<Entry, N>& table, std::string_view name) {
  const auto found = std::find_if(table.begin(), table.end(),
                                  [&](const Entry& entry) { return entry.name == name; });
  return found == table.end() ? nullptr : &*found;
}

// ---- functions ----

Result<Value> make_range(const CallArguments& a) {
  int64_t begin = 0;
  int64_t end = 0;
  int64_t step = 1;
  for (const Value& each : a.positional) {
    if (!each.as_integer()) return type_error("range takes integers");
  }
  if (a.positional.size() == 1) {
    end = *a.positional[0].as_integer();
  } else if (a.positional.size() == 2 || a.positional.size() == 3) {
    begin = *a.positional[0].as_integer();
    end = *a.positional[1].as_integer();
    if (a.positional.size() == 3) step = *a.positional[2].as_integer();
  } else {
    return type_error("range takes one to three integers");
  }
  if (step == 0) return type_error("range: a step of 0");
  List items;
  for (int64_t i = begin; step > 0 ? i < end : i > end;) {
    if (static_cast<int64_t>(items.size()) >= kRangeMax) return type_error("range: too long");
    items.push_back(Value::integer(i));
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  return Value::list(std::move(items));
}

Result<Value> make_dict(const CallArguments& a) {
  Dict members;
  if (!a.positional.empty() && a.positional[0].as_dict()) members = *a.positional[0].as_dict();
  for (const auto& [key, value] : a.named) {
    members.erase(std::remove_if(members.begin(), members.end(),
                                 [&, k = key](const auto& member) { return member.first == k; }),
                  members.end());
    members.emplace_back(key, value);
  }
  return Value::dict(std::move(members));
}

}  // namespace

Error type_error(std::string message) { return invalid_argument(std::move(message)); }

const Value* CallArguments::get(size_t index, std::string_view name) const {
  if (index < positional.size()) return &positional[index];
  for (const auto& [key, value] : named) {
    if (key == name) return &value;
  }
  return nullptr;
}

bool is_filter(std::string_view name) { return find_entry(kFilters, name) != nullptr; }
bool is_test(std::string_view name) { return find_entry(kTests, name) != nullptr; }

Result<Value> apply_filter(std::string_view name, const Value& value,
                           const CallArguments& arguments) {
  return find_entry(kFilters, name)->apply(value, arguments);
}
Result<Value> apply_test(std::string_view name, const Value& value,
                         const CallArguments& arguments) {
  return find_entry(kTests, name)->apply(value, arguments);
}

bool is_function(std::string_view name) {
  return name == "raise_exception" || name == "range" || name == "namespace" || name == "dict";
}

Result<Value> call_function(std::string_view name, const CallArguments& arguments) {
  if (name == "range") return make_range(arguments);
  if (name == "dict") return make_dict(arguments);
  if (name == "namespace") {
    auto made = std::make_shared<Namespace>();
    for (const auto& [key, value] : arguments.named) made->members[key] = value;
    return Value(Value::Storage(std::move(made)));
  }
  return invalid_argument(arguments.positional.empty() ? "" : arguments.positional[0].str());
}

}  // namespace touchstone::chat_template
