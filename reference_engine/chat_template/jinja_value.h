// Values of the template language, with Python's meaning of truth, equality, order and text.
// Values: copies are cheap for lists and mappings, which are immutable and therefore shared;
// a namespace is the one mutable thing and is shared on purpose. Thread-compatible.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace touchstone::chat_template {

struct Macro;  // of the parser

class Value;
using List = std::vector<Value>;
/// In order of insertion, as Python's dict.
using Dict = std::vector<std::pair<std::string, Value>>;

struct Undefined {
  std::string problem;  ///< why there is no value, for messages: "'x' is undefined"
};
struct None {};
struct Namespace {
  std::map<std::string, Value> members;
};
/// A list that prints with round brackets.
struct Tuple {
  List items;
};
/// A global function, by name.
struct Function {
  std::string name;
};

class Value {
 public:
  using Storage =
      std::variant<Undefined, None, bool, int64_t, double, std::string, std::shared_ptr<const List>,
                   std::shared_ptr<const Tuple>, std::shared_ptr<const Dict>,
                   std::shared_ptr<Namespace>, Function, const Macro*>;

  Value() : storage_(Undefined{}) {}
  Value(Storage storage) : storage_(std::move(storage)) {}  // NOLINT: implicit
  static Value undefined(std::string problem) {
    return Value(Storage(Undefined{std::move(problem)}));
  }
  static Value none() { return Value(Storage(None{})); }
  static Value boolean(bool value) { return Value(Storage(value)); }
  static Value integer(int64_t value) { return Value(Storage(value)); }
  static Value number(double value) { return Value(Storage(value)); }
  static Value text(std::string value) { return Value(Storage(std::move(value))); }
  static Value list(List items) {
    return Value(Storage(std::make_shared<const List>(std::move(items))));
  }
  static Value tuple(List items) {
    return Value(Storage(std::make_shared<const Tuple>(Tuple{std::move(items)})));
  }
  static Value dict(Dict items) {
    return Value(Storage(std::make_shared<const Dict>(std::move(items))));
  }
  static Value from_json(const nlohmann::json& tree);
  static Value from_json(const nlohmann::ordered_json& tree);

  template <typename T>
  const T* get() const {
    return std::get_if<T>(&storage_);
  }
  bool is_undefined() const { return get<Undefined>() != nullptr; }
  bool is_none() const { return get<None>() != nullptr; }
  const std::string* as_text() const { return get<std::string>(); }
  /// Lists and tuples.
  const List* as_list() const;
  const Dict* as_dict() const;
  /// Integers and booleans.
  std::optional<int64_t> as_integer() const;
  /// Integers, booleans and floats.
  std::optional<double> as_number() const;
  Namespace* as_namespace() const;

  bool truthy() const;
  /// What {{ value }} prints: str().
  std::string str() const;
  std::string repr() const;
  /// "str", "int", "list", … for messages.
  const char* type_name() const;

 private:
  Storage storage_;
};

const Value* find(const Dict& dict, const std::string& key);
bool equal(const Value& a, const Value& b);
/// a < b for two numbers or two strings; nullopt for what Python does not order.
std::optional<bool> less(const Value& a, const Value& b);

struct JsonStyle {
  int64_t indent = -1;  ///< -1: on one line
  /// Between items, and between key and value. Absent: ", " on one line, "," with an indent.
  std::optional<std::string> item_separator = {};
  std::string key_separator = ": ";
  bool sort_keys = false;
  bool ensure_ascii = false;
};
/// Python's json.dumps. Undefined becomes null.
std::string to_json(const Value& value, const JsonStyle& style);

}  // namespace touchstone::chat_template
