// Attributes, items, slices, iteration and methods of values. The contracts are in
// jinja_builtins.h.
#include <algorithm>
#include <array>

#include "base/text.h"
#include "base/utf8.h"
#include "reference_engine/chat_template/jinja_builtins.h"
#include "reference_engine/chat_template/jinja_text.h"

namespace touchstone::chat_template {
namespace {

Value no_attribute(const Value& object, const std::string& name) {
  return Value::undefined("'" + std::string(object.type_name()) + " object' has no attribute '" +
                          name + "'");
}

Value no_element(const Value& object, const Value& key) {
  return Value::undefined(std::string(object.type_name()) + " object has no element " + key.repr());
}

Error undefined_error(const Value& value) {
  return invalid_argument(value.get<Undefined>()->problem);
}

std::optional<size_t> position(int64_t index, size_t size) {
  if (index < 0) index += static_cast<int64_t>(size);
  if (index < 0 || index >= static_cast<int64_t>(size)) return std::nullopt;
  return static_cast<size_t>(index);
}

std::optional<std::string> text_argument(const CallArguments& a, size_t index,
                                         std::string_view name) {
  const Value* value = a.get(index, name);
  if (value == nullptr || value->as_text() == nullptr) return std::nullopt;
  return *value->as_text();
}

int64_t integer_argument(const CallArguments& a, size_t index, std::string_view name,
                         int64_t fallback) {
  const Value* value = a.get(index, name);
  return value == nullptr ? fallback : value->as_integer().value_or(fallback);
}

Value text_list(const std::vector<std::string>& parts) {
  List items;
  for (const std::string& part : parts) items.push_back(Value::text(part));
  return Value::list(std::move(items));
}

// startswith and endswith take a text or a tuple of texts.
template <typename Matches>
Result<Value> any_affix(const CallArguments& a, const Matches& matches) {
  if (a.positional.empty()) return type_error("an argument is missing");
  const Value& affix = a.positional[0];
  if (affix.as_text()) return Value::boolean(matches(*affix.as_text()));
  if (!affix.as_list()) return type_error("expected a text or a tuple of texts");
  return Value::boolean(
      std::any_of(affix.as_list()->begin(), affix.as_list()->end(),
                  [&](const Value& each) { return each.as_text() && matches(*each.as_text()); }));
}

Result<Value> find_in(const std::string& text, const CallArguments& a, bool last) {
  const auto wanted = text_argument(a, 0, "");
  if (!wanted) return type_error("find takes a text");
  const size_t at = last ? text.rfind(*wanted) : text.find(*wanted);
  if (at == std::string::npos) return Value::integer(-1);
  return Value::integer(static_cast<int64_t>(count_characters(text.substr(0, at))));
}

Result<Value> join_items(const std::string& separator, const CallArguments& a) {
  if (a.positional.empty()) return type_error("join takes a list");
  auto items = iterate(a.positional[0]);
  if (!items) return std::move(items).error();
  std::string out;
  for (size_t i = 0; i < items->size(); ++i) {
    if ((*items)[i].as_text() == nullptr) return type_error("join takes a list of texts");
    out += (i == 0 ? "" : separator) + *(*items)[i].as_text();
  }
  return Value::text(out);
}

Result<Value> count_in(const std::string& text, const CallArguments& a) {
  const auto wanted = text_argument(a, 0, "");
  if (!wanted || wanted->empty()) return type_error("count takes a text");
  int64_t count = 0;
  for (size_t at = text.find(*wanted); at != std::string::npos;
       at = text.find(*wanted, at + wanted->size())) {
    ++count;
  }
  return Value::integer(count);
}

bool starts_with(const std::string& text, const std::string& affix) {
  return text.compare(0, affix.size(), affix) == 0;
}
bool ends_with(const std::string& text, const std::string& affix) {
  return text.size() >= affix.size() &&
         text.compare(text.size() - affix.size(), affix.size(), affix) == 0;
}

Result<Value> split_text(const std::string& text, std::string_view name, const CallArguments& a) {
  if (name == "splitlines") return text_list(split_lines(text));
  const auto separator = text_argument(a, 0, "sep");
  if (separator && separator->empty()) return type_error("empty separator");
  return text_list(split(text, separator, integer_argument(a, 1, "maxsplit", -1),
                         name == "rsplit" ? Side::kRight : Side::kLeft));
}

Result<Value> replace_text(const std::string& text, std::string_view name, const CallArguments& a) {
  const auto affix = text_argument(a, 0, "old");
  if (!affix) return type_error(std::string(name) + " takes a text");
  if (name == "removeprefix") {
    return Value::text(starts_with(text, *affix) ? text.substr(affix->size()) : text);
  }
  if (name == "removesuffix") {
    return Value::text(ends_with(text, *affix) ? text.substr(0, text.size() - affix->size())
                                               : text);
  }
  const auto to = text_argument(a, 1, "new");
  if (!to) return type_error("replace takes two texts");
  return Value::text(replace(text, *affix, *to, integer_argument(a, 2, "count", -1)));
}

Result<Value> text_method(const std::string& text, std::string_view name, const CallArguments& a) {
  if (name == "strip") return Value::text(strip(text, text_argument(a, 0, "chars"), Side::kBoth));
  if (name == "lstrip") return Value::text(strip(text, text_argument(a, 0, "chars"), Side::kLeft));
  if (name == "rstrip") return Value::text(strip(text, text_argument(a, 0, "chars"), Side::kRight));
  if (name == "upper") return Value::text(to_upper(text));
  if (name == "lower") return Value::text(to_lower(text));
  if (name == "title") return Value::text(capitalize(text, Capitals::kEveryWord));
  if (name == "capitalize") return Value::text(capitalize(text, Capitals::kFirstWord));
  if (name == "split" || name == "rsplit" || name == "splitlines") return split_text(text, name, a);
  if (name == "startswith") {
    return any_affix(a, [&](const std::string& affix) { return starts_with(text, affix); });
  }
  if (name == "endswith") {
    return any_affix(a, [&](const std::string& affix) { return ends_with(text, affix); });
  }
  if (name == "replace" || name == "removeprefix" || name == "removesuffix") {
    return replace_text(text, name, a);
  }
  if (name == "find") return find_in(text, a, false);
  if (name == "rfind") return find_in(text, a, true);
  if (name == "count") return count_in(text, a);
  if (name == "join") return join_items(text, a);
  return type_error("'str object' has no attribute '" + std::string(name) + "'");
}

Result<Value> dict_method(const Dict& dict, std::string_view name, const CallArguments& a) {
  if (name == "get") {
    const auto key = text_argument(a, 0, "key");
    const Value* found = key ? find(dict, *key) : nullptr;
    if (found != nullptr) return *found;
    const Value* fallback = a.get(1, "default");
    return fallback == nullptr ? Value::none() : *fallback;
  }
  List result;
  for (const auto& [key, value] : dict) {
    if (name == "keys") {
      result.push_back(Value::text(key));
    } else if (name == "values") {
      result.push_back(value);
    } else if (name == "items") {
      result.push_back(Value::tuple({Value::text(key), value}));
    } else {
      return type_error("'dict object' has no attribute '" + std::string(name) + "'");
    }
  }
  return Value::list(std::move(result));
}

}  // namespace

bool is_method(std::string_view name) {
  constexpr std::array<std::string_view, 23> kMethods = {
      "strip",      "lstrip",       "rstrip",       "upper",      "lower",      "title",
      "capitalize", "split",        "rsplit",       "splitlines", "startswith", "endswith",
      "replace",    "removeprefix", "removesuffix", "find",       "rfind",      "count",
      "join",       "get",          "keys",         "values",     "items"};
  return name == "cycle" || std::find(kMethods.begin(), kMethods.end(), name) != kMethods.end();
}

Result<Value> call_method(const Value& object, std::string_view name,
                          const CallArguments& arguments) {
  if (object.is_undefined()) return undefined_error(object);
  if (object.as_text()) return text_method(*object.as_text(), name, arguments);
  if (object.as_dict()) return dict_method(*object.as_dict(), name, arguments);
  return type_error("'" + std::string(object.type_name()) + " object' has no attribute '" +
                    std::string(name) + "'");
}

Result<Value> attribute(const Value& object, const std::string& name) {
  if (object.is_undefined()) return undefined_error(object);
  if (const Namespace* space = object.as_namespace()) {
    const auto found = space->members.find(name);
    return found == space->members.end() ? no_attribute(object, name) : found->second;
  }
  if (const Dict* dict = object.as_dict()) {
    if (const Value* found = find(*dict, name)) return *found;
  }
  return no_attribute(object, name);
}

Result<Value> item(const Value& object, const Value& key) {
  if (object.is_undefined()) return undefined_error(object);
  if (key.as_text()) return attribute(object, *key.as_text());
  const auto index = key.as_integer();
  if (const List* list = object.as_list(); list != nullptr && index) {
    const auto at = position(*index, list->size());
    return at ? (*list)[*at] : no_element(object, key);
  }
  if (object.as_text() && index) {
    const auto all = characters(*object.as_text());
    const auto at = position(*index, all.size());
    return at ? Value::text(std::string(all[*at])) : no_element(object, key);
  }
  return no_element(object, key);
}

Result<Value> slice(const Value& object, const Value& begin, const Value& end, const Value& step) {
  if (object.is_undefined()) return undefined_error(object);
  if (!object.as_list() && !object.as_text()) {
    return type_error(std::string("'") + object.type_name() + "' object is not subscriptable");
  }
  auto items = iterate(object);
  if (!items) return std::move(items).error();
  const auto size = static_cast<int64_t>(items->size());
  const int64_t stride = step.is_none() ? 1 : step.as_integer().value_or(0);
  if (stride == 0) return type_error("slice step cannot be zero");
  const int64_t low = stride > 0 ? 0 : -1;
  const int64_t high = stride > 0 ? size : size - 1;
  const auto bound = [&](const Value& value, int64_t fallback) {
    if (value.is_none()) return fallback;
    int64_t at = value.as_integer().value_or(fallback);
    if (at < 0) at = at < -size ? low : at + size;
    return std::clamp(at, low, high);
  };
  const int64_t first = bound(begin, stride > 0 ? low : high);
  const int64_t last = bound(end, stride > 0 ? high : low);
  List picked;
  for (int64_t i = first; stride > 0 ? i < last : i > last;) {
    picked.push_back((*items)[static_cast<size_t>(i)]);
    if (__builtin_add_overflow(i, stride, &i)) break;
  }
  if (object.as_list()) return Value::list(std::move(picked));
  std::string text;
  for (const Value& character : picked) text += character.str();
  return Value::text(text);
}

Result<List> iterate(const Value& value) {
  if (value.is_undefined()) return List();
  if (value.as_list()) return *value.as_list();
  List items;
  if (value.as_dict()) {
    for (const auto& member : *value.as_dict()) items.push_back(Value::text(member.first));
    return items;
  }
  if (value.as_text()) {
    for (const auto character : characters(*value.as_text())) {
      items.push_back(Value::text(std::string(character)));
    }
    return items;
  }
  return type_error(std::string("'") + value.type_name() + "' object is not iterable");
}

Result<Value> contains(const Value& container, const Value& value) {
  if (container.is_undefined()) return undefined_error(container);
  if (container.as_text()) {
    if (!value.as_text()) return type_error("'in <string>' requires string as left operand");
    return Value::boolean(container.as_text()->find(*value.as_text()) != std::string::npos);
  }
  if (container.as_dict()) {
    return Value::boolean(value.as_text() &&
                          find(*container.as_dict(), *value.as_text()) != nullptr);
  }
  if (const List* list = container.as_list()) {
    return Value::boolean(std::any_of(list->begin(), list->end(),
                                      [&](const Value& each) { return equal(each, value); }));
  }
  return type_error(std::string("argument of type '") + container.type_name() +
                    "' is not iterable");
}

}  // namespace touchstone::chat_template
