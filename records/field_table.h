// One list of a struct's fields serves its JSON writer and its reader:
//
//   template <typename Visitor, OneOf<Usage> Struct>
//   void visit_fields(Visitor& visit, Struct& usage) {
//     visit.required("prompt_tokens", usage.prompt_tokens);
//     visit.optional("cached_tokens", usage.cached_tokens);
//   }
//
// `required`: must be there. `always`: written always, kept at its default when absent.
// `optional`: written when it is not its type's default. Unknown keys are the document's matter.
// For the .cc files of formats only. Thread-compatible.
#pragma once

#include <cmath>
#include <concepts>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/document.h"
#include "base/ids.h"
#include "base/text.h"

namespace touchstone::records {

/// `Struct` is T or const T.
template <typename Struct, typename T>
concept OneOf = std::same_as<std::remove_const_t<Struct>, T>;

template <typename E>
using Words = std::vector<std::pair<std::string, E>>;

/// The scalars of an object; what else it holds is left out, as a newer writer's.
inline void read_scalars(
    const Fields& object,
    std::map<std::string, std::variant<bool, int64_t, double, std::string>>& values) {
  for (const std::string& name : object.keys()) {
    const nlohmann::json& raw = object.raw(name);
    if (raw.is_boolean()) values[name] = raw.get<bool>();
    if (raw.is_number_integer()) values[name] = raw.get<int64_t>();
    if (raw.is_number_float()) values[name] = raw.get<double>();
    if (raw.is_string()) values[name] = raw.get<std::string>();
  }
}

class FieldWriter final {
 public:
  template <typename T>
  void required(const char* key, const T& value) {
    object_[key] = json_of(value);
  }
  template <typename T>
  void always(const char* key, const T& value) {
    object_[key] = json_of(value);
  }
  template <typename T>
  void optional(const char* key, const T& value) {
    if (value != T{}) object_[key] = json_of(value);
  }
  void in_range(const char* key, int64_t value, int64_t, int64_t) { object_[key] = value; }
  void version(const char* key, int64_t value, int64_t) { object_[key] = value; }
  /// Nanoseconds, written as seconds.
  void seconds(const char* key, int64_t ns) {
    object_[key] = static_cast<double>(ns) / static_cast<double>(kNsPerSecond);
  }
  template <typename E>
  void word(const char* key, E value, const Words<E>& words) {
    for (const auto& [word, meaning] : words) {
      if (meaning == value) object_[key] = word;
    }
  }

  nlohmann::json take() { return std::move(object_); }

 private:
  template <typename T>
  static nlohmann::json json_of(const T& value) {
    if constexpr (requires(FieldWriter & writer) { visit_fields(writer, value); }) {
      FieldWriter writer;
      visit_fields(writer, value);
      return writer.take();
    } else {
      return value;
    }
  }
  template <size_t N>
  static nlohmann::json json_of(const ByteId<N>& id) {
    return id.hex();
  }
  template <typename T>
  static nlohmann::json json_of(const std::optional<T>& value) {
    return value ? json_of(*value) : nlohmann::json();
  }
  template <typename... Ts>
  static nlohmann::json json_of(const std::variant<Ts...>& value) {
    return std::visit([](const auto& held) { return nlohmann::json(held); }, value);
  }
  template <typename T>
  static nlohmann::json json_of(const std::map<std::string, T>& values) {
    nlohmann::json object = nlohmann::json::object();
    for (const auto& [name, value] : values) object[name] = json_of(value);
    return object;
  }
  template <typename T>
  static nlohmann::json json_of(const std::vector<T>& values) {
    nlohmann::json list = nlohmann::json::array();
    for (const T& value : values) list.push_back(json_of(value));
    return list;
  }

  nlohmann::json object_ = nlohmann::json::object();
};

class FieldReader final {
 public:
  explicit FieldReader(const Fields& fields) : fields_(fields) {}

  template <typename T>
  void required(const char* key, T& value) {
    read(key, value);
  }
  template <typename T>
  void always(const char* key, T& value) {
    if (fields_.has(key)) read(key, value);
  }
  template <typename T>
  void optional(const char* key, T& value) {
    if (fields_.has(key)) read(key, value);
  }
  void in_range(const char* key, int64_t& value, int64_t low, int64_t high) {
    value = fields_.int_in(key, value, low, high);
  }
  /// Must be there: what does not say its version could mean anything.
  void version(const char* key, int64_t& value, int64_t known) {
    if (fields_.has(key)) {
      in_range(key, value, known, known);
    } else {
      value = fields_.required_int(key);
    }
  }
  void seconds(const char* key, int64_t& ns) {
    constexpr double kMaxSeconds = 9e9;  // what int64 nanoseconds hold
    const double read = fields_.optional_double(key).value_or(0);
    if (read >= 0 && read <= kMaxSeconds) {
      ns = std::llround(read * static_cast<double>(kNsPerSecond));
    } else {
      fields_.fail(key, "got " + format_double(read) + ", expected 0 to " +
                            format_double(kMaxSeconds) + " seconds");
    }
  }
  template <typename E>
  void word(const char* key, E& value, const Words<E>& words) {
    value = fields_.optional_enum(key, words).value_or(value);
  }

 private:
  void read(const char* key, bool& value) { value = fields_.required_bool(key); }
  void read(const char* key, int64_t& value) { value = fields_.required_int(key); }
  void read(const char* key, double& value) { value = fields_.required_double(key); }
  void read(const char* key, std::string& value) { value = fields_.required_string(key); }
  void read(const char* key, std::vector<std::string>& value) { value = fields_.strings(key); }
  void read(const char* key, std::vector<int64_t>& value) { value = fields_.ints(key); }
  void read(const char* key, uint64_t& value) {
    const nlohmann::json& raw = fields_.raw(key);
    if (!raw.is_number_unsigned()) {
      fields_.fail(key, "got " + raw.dump() + ", expected an integer of 0 or more");
      return;
    }
    value = raw.get<uint64_t>();
  }
  void read(const char* key, std::vector<int32_t>& value) {
    value.clear();
    for (const int64_t item : fields_.ints(key)) value.push_back(static_cast<int32_t>(item));
  }
  void read(const char* key, std::vector<double>& values) {
    const nlohmann::json& raw = fields_.raw(key);
    for (const nlohmann::json& item : raw) {
      if (raw.is_array() && item.is_number()) values.push_back(item.get<double>());
    }
    if (!raw.is_array() || values.size() != raw.size()) {
      fields_.fail(key, "got " + raw.dump().substr(0, 80) + ", expected a list of numbers");
    }
  }
  void read(const char* key, std::map<std::string, std::string>& value) {
    const Fields object = fields_.object(key);
    for (const std::string& name : object.keys()) value[name] = object.required_string(name);
  }
  /// Values of other types are left out.
  void read(const char* key,
            std::map<std::string, std::variant<bool, int64_t, double, std::string>>& values) {
    read_scalars(fields_.object(key), values);
  }
  template <size_t N>
  void read(const char* key, ByteId<N>& value) {
    const std::string text = fields_.required_string(key);
    const auto id = ByteId<N>::parse(text);
    if (!id && !text.empty()) {
      fields_.fail(key, "got \"" + text + "\", expected " + std::to_string(2 * N) + " hex digits");
    }
    value = id.value_or(ByteId<N>{});
  }
  template <typename T>
  void read(const char* key, std::optional<T>& value) {
    value.emplace();
    read(key, *value);
  }
  template <typename T>
  void read(const char* key, std::vector<T>& values) {
    for (const Fields& object : fields_.objects(key)) {
      FieldReader reader(object);
      visit_fields(reader, values.emplace_back());
    }
  }
  template <typename T>
  requires std::is_class_v<T>
  void read(const char* key, T& value) {
    FieldReader reader(fields_.object(key));
    visit_fields(reader, value);
  }

  Fields fields_;
};

/// `value` as a JSON object. What a server sent may be no UTF-8; dump() it with replacement.
template <typename T>
nlohmann::json fields_to_json(const T& value) {
  FieldWriter writer;
  visit_fields(writer, value);
  return writer.take();
}

template <typename T>
T fields_from(const Fields& fields) {
  T value;
  FieldReader reader(fields);
  visit_fields(reader, value);
  return value;
}

}  // namespace touchstone::records
