// The writer for field tables (field_table.h) whose lines are written in hot places: it appends
// JSON text in the table's order and builds no tree. Thread-compatible.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/json_text.h"
#include "records/field_table.h"

namespace touchstone::records {

class FieldText final {
 public:
  explicit FieldText(JsonText& json) : json_(json) {}

  template <typename T>
  void required(const char* key, const T& value) {
    json_.key(key);
    append(value);
  }
  template <typename T>
  void always(const char* key, const T& value) {
    required(key, value);
  }
  template <typename T>
  void optional(const char* key, const T& value) {
    if constexpr (requires { value.empty(); }) {
      if (!value.empty()) required(key, value);
    } else if constexpr (requires { value.has_value(); }) {
      if (value.has_value()) required(key, *value);
    } else {
      if (value != T{}) required(key, value);
    }
  }
  void in_range(const char* key, int64_t value, int64_t, int64_t) { required(key, value); }
  template <typename E>
  void word(const char* key, E value, const Words<E>& words) {
    for (const auto& [word, meaning] : words) {
      if (meaning == value) required(key, word);
    }
  }

 private:
  void append(bool value) { json_.boolean(value); }
  void append(int64_t value) { json_.integer(value); }
  void append(uint64_t value) { json_.unsigned_integer(value); }
  void append(double value) { json_.number(value); }
  void append(const std::string& value) { json_.string(value); }
  template <size_t N>
  void append(const ByteId<N>& id) {
    json_.string(id.hex());
  }
  template <typename T>
  void append(const std::vector<T>& values) {
    json_.begin_array();
    for (const T& value : values) append(value);
    json_.end_array();
  }
  template <typename T>
  requires requires(FieldText& text, const T& value) { visit_fields(text, value); }
  void append(const T& value) {
    json_.begin_object();
    visit_fields(*this, value);
    json_.end_object();
  }

  JsonText& json_;
};

}  // namespace touchstone::records
