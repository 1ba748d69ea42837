// Filters, `value | name(arguments)`. Source: Jinja 3.1 filters.py.
#include <algorithm>
#include <array>
#include <cmath>

#include "base/text.h"
#include "base/utf8.h"
#include "reference_engine/chat_template/jinja_builtins.h"
#include "reference_engine/chat_template/jinja_table.h"
#include "reference_engine/chat_template/jinja_text.h"

namespace touchstone::chat_template {
namespace {

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
  JsonStyle style{.indent = integer_or(a.get(1, "indent"), -1)};
  const auto is_true = [](const Value* flag) { return flag != nullptr && flag->truthy(); };
  style.ensure_ascii = is_true(a.get(0, "ensure_ascii"));
  style.sort_keys = is_true(a.get(3, "sort_keys"));
  const Value* separators = a.get(2, "separators");
  if (separators != nullptr && !separators->is_none()) {
    const List* two = separators->as_list();
    if (two == nullptr || two->size() != 2 || !(*two)[0].as_text() || !(*two)[1].as_text()) {
      return type_error("tojson: separators takes two texts");
    }
    style.item_separator = *(*two)[0].as_text();
    style.key_separator = *(*two)[1].as_text();
  }
  return Value::text(to_json(value, style));
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

constexpr std::array kFilters = {
    Builtin{"abs", filter_abs},
    Builtin{"capitalize", filter_capitalize},
    Builtin{"count", filter_length},
    Builtin{"d", filter_default},
    Builtin{"default", filter_default},
    Builtin{"dictsort", filter_dictsort},
    Builtin{"e", filter_escape},
    Builtin{"escape", filter_escape},
    Builtin{"first", filter_first},
    Builtin{"float", filter_float},
    Builtin{"indent", filter_indent},
    Builtin{"int", filter_int},
    Builtin{"items", filter_items},
    Builtin{"join", filter_join},
    Builtin{"last", filter_last},
    Builtin{"length", filter_length},
    Builtin{"list", filter_list},
    Builtin{"lower", filter_lower},
    Builtin{"map", filter_map},
    Builtin{"reject", filter_reject},
    Builtin{"rejectattr", filter_rejectattr},
    Builtin{"replace", filter_replace},
    Builtin{"reverse", filter_reverse},
    Builtin{"safe", filter_safe},
    Builtin{"select", filter_select},
    Builtin{"selectattr", filter_selectattr},
    Builtin{"sort", filter_sort},
    Builtin{"string", filter_string},
    Builtin{"sum", filter_sum},
    Builtin{"title", filter_title},
    Builtin{"tojson", filter_tojson},
    Builtin{"trim", filter_trim},
    Builtin{"unique", filter_unique},
    Builtin{"upper", filter_upper},
};

}  // namespace

bool is_filter(std::string_view name) { return find_builtin(kFilters, name) != nullptr; }

Result<Value> apply_filter(std::string_view name, const Value& value,
                           const CallArguments& arguments) {
  return find_builtin(kFilters, name)->apply(value, arguments);
}

}  // namespace touchstone::chat_template
