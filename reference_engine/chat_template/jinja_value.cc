#include "reference_engine/chat_template/jinja_value.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "base/python_repr.h"

namespace touchstone::chat_template {
namespace {

std::string json_text(const std::string& text, bool ensure_ascii) {
  return nlohmann::json(text).dump(-1, ' ', ensure_ascii, nlohmann::json::error_handler_t::replace);
}

class JsonWriter {
 public:
  explicit JsonWriter(const JsonStyle& style) : style_(style) {}
  void write(const Value& value, int64_t depth) {
    if (const auto* text = value.as_text()) {
      out_ += json_text(*text, style_.ensure_ascii);
    } else if (const auto* items = value.as_list()) {
      write_list(*items, depth);
    } else if (const auto* members = value.as_dict()) {
      write_dict(*members, depth);
    } else if (const auto* flag = value.get<bool>()) {
      out_ += *flag ? "true" : "false";
    } else if (value.as_number()) {
      out_ += value.str();
    } else {
      out_ += "null";
    }
  }
  std::string take() { return std::move(out_); }

 private:
  void separate(bool first, int64_t depth) {
    if (!first) out_ += style_.item_separator.value_or(style_.indent < 0 ? ", " : ",");
    if (style_.indent >= 0)
      out_ += "\n" + std::string(static_cast<size_t>(style_.indent * depth), ' ');
  }
  void write_list(const List& items, int64_t depth) {
    out_ += "[";
    for (size_t i = 0; i < items.size(); ++i) {
      separate(i == 0, depth + 1);
      write(items[i], depth + 1);
    }
    close(items.empty(), depth, "]");
  }
  void write_dict(Dict members, int64_t depth) {
    if (style_.sort_keys) {
      std::sort(members.begin(), members.end(),
                [](const auto& a, const auto& b) { return a.first < b.first; });
    }
    out_ += "{";
    for (size_t i = 0; i < members.size(); ++i) {
      separate(i == 0, depth + 1);
      out_ += json_text(members[i].first, style_.ensure_ascii) + style_.key_separator;
      write(members[i].second, depth + 1);
    }
    close(members.empty(), depth, "}");
  }
  void close(bool empty, int64_t depth, const char* bracket) {
    if (!empty && style_.indent >= 0) separate(true, depth);
    out_ += bracket;
  }
  JsonStyle style_;
  std::string out_;
};

template <typename Json>
Value value_of(const Json& tree) {
  switch (tree.type()) {
    case nlohmann::detail::value_t::boolean:
      return Value::boolean(tree.template get<bool>());
    case nlohmann::detail::value_t::number_integer:
    case nlohmann::detail::value_t::number_unsigned:
      return Value::integer(tree.template get<int64_t>());
    case nlohmann::detail::value_t::number_float:
      return Value::number(tree.template get<double>());
    case nlohmann::detail::value_t::string:
      return Value::text(tree.template get<std::string>());
    case nlohmann::detail::value_t::array: {
      List items;
      for (const auto& item : tree) items.push_back(value_of(item));
      return Value::list(std::move(items));
    }
    case nlohmann::detail::value_t::object: {
      Dict members;
      for (const auto& [key, member] : tree.items()) members.emplace_back(key, value_of(member));
      return Value::dict(std::move(members));
    }
    default:
      return Value::none();
  }
}

}  // namespace

Value Value::from_json(const nlohmann::json& tree) { return value_of(tree); }
Value Value::from_json(const nlohmann::ordered_json& tree) { return value_of(tree); }

const List* Value::as_list() const {
  if (const auto* tuple = get<std::shared_ptr<const Tuple>>()) return &(*tuple)->items;
  const auto* list = get<std::shared_ptr<const List>>();
  return list == nullptr ? nullptr : list->get();
}

const Dict* Value::as_dict() const {
  const auto* dict = get<std::shared_ptr<const Dict>>();
  return dict == nullptr ? nullptr : dict->get();
}

Namespace* Value::as_namespace() const {
  const auto* found = get<std::shared_ptr<Namespace>>();
  return found == nullptr ? nullptr : found->get();
}

std::optional<int64_t> Value::as_integer() const {
  if (const auto* value = get<int64_t>()) return *value;
  if (const auto* value = get<bool>()) return *value ? 1 : 0;
  return std::nullopt;
}

std::optional<double> Value::as_number() const {
  if (const auto* value = get<double>()) return *value;
  if (const auto value = as_integer()) return static_cast<double>(*value);
  return std::nullopt;
}

bool Value::truthy() const {
  if (is_undefined() || is_none()) return false;
  if (const auto* text = as_text()) return !text->empty();
  if (const auto* items = as_list()) return !items->empty();
  if (const auto* members = as_dict()) return !members->empty();
  if (const auto value = as_number()) return *value != 0;
  return true;
}

std::string Value::str() const {
  if (const auto* text = as_text()) return *text;
  if (is_undefined()) return {};
  return repr();
}

std::string Value::repr() const {
  if (const auto* text = as_text()) return python_repr(*text);
  if (is_undefined()) return "Undefined";
  if (is_none()) return "None";
  if (const auto* flag = get<bool>()) return *flag ? "True" : "False";
  if (const auto* value = get<int64_t>()) return std::to_string(*value);
  if (const auto* value = get<double>()) return python_repr(*value);
  if (const auto* items = as_list()) {
    const bool is_tuple = get<std::shared_ptr<const Tuple>>() != nullptr;
    std::string out = is_tuple ? "(" : "[";
    for (const Value& item : *items) out += (out.size() > 1 ? ", " : "") + item.repr();
    if (is_tuple && items->size() == 1) out += ",";
    return out + (is_tuple ? ")" : "]");
  }
  if (const auto* members = as_dict()) {
    std::string out = "{";
    for (const auto& [key, member] : *members) {
      out += (out.size() > 1 ? ", " : "") + python_repr(key) + ": " + member.repr();
    }
    return out + "}";
  }
  return "<" + std::string(type_name()) + ">";
}

const char* Value::type_name() const {
  constexpr std::array<const char*, 12> kNames = {"undefined", "None",      "bool",     "int",
                                                  "float",     "str",       "list",     "tuple",
                                                  "dict",      "namespace", "function", "macro"};
  return kNames[storage_.index()];
}

const Value* find(const Dict& dict, const std::string& key) {
  const auto found = std::find_if(dict.begin(), dict.end(),
                                  [&](const auto& member) { return member.first == key; });
  return found == dict.end() ? nullptr : &found->second;
}

bool equal(const Value& a, const Value& b) {
  if (a.as_number() && b.as_number()) {
    if (a.as_integer() && b.as_integer()) return a.as_integer() == b.as_integer();
    return a.as_number() == b.as_number();
  }
  if (a.as_text() && b.as_text()) return *a.as_text() == *b.as_text();
  if (a.is_none() || b.is_none()) return a.is_none() && b.is_none();
  if (a.is_undefined() || b.is_undefined()) return a.is_undefined() && b.is_undefined();
  if (a.as_list() && b.as_list()) {
    return std::equal(a.as_list()->begin(), a.as_list()->end(), b.as_list()->begin(),
                      b.as_list()->end(), equal);
  }
  if (a.as_dict() && b.as_dict()) {
    return a.as_dict()->size() == b.as_dict()->size() &&
           std::all_of(a.as_dict()->begin(), a.as_dict()->end(), [&](const auto& member) {
             const Value* other = find(*b.as_dict(), member.first);
             return other != nullptr && equal(member.second, *other);
           });
  }
  return false;
}

std::optional<bool> less(const Value& a, const Value& b) {
  if (a.as_integer() && b.as_integer()) return *a.as_integer() < *b.as_integer();
  if (a.as_number() && b.as_number()) return *a.as_number() < *b.as_number();
  if (a.as_text() && b.as_text()) return *a.as_text() < *b.as_text();
  return std::nullopt;
}

std::string to_json(const Value& value, const JsonStyle& style) {
  JsonWriter writer(style);
  writer.write(value, 0);
  return writer.take();
}

}  // namespace touchstone::chat_template
