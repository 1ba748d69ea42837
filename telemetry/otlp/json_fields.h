// Reads the fields of OTLP/JSON objects and says what is wrong where: the parts that know no
// message. For json_decode.cc alone, as only it knows simdjson. Thread-compatible.
#pragma once

#include <simdjson.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "base/text.h"
#include "telemetry/span.h"

namespace touchstone::telemetry {

/// Attributes that one list has too many of, for those that have too few: lines differ in length,
/// and the memory of an attribute's texts serves the next one. Few and small ones are kept.
class Spares final {
 public:
  void keep(KeyValue&& attribute) {
    constexpr size_t kKept = 4096;
    constexpr size_t kTextBytesMax = 256;
    const std::string* const text = attribute.value.string();
    const bool is_small = attribute.key.capacity() <= kTextBytesMax &&
                          (text == nullptr || text->capacity() <= kTextBytesMax);
    const bool is_flat = !std::holds_alternative<Value::Array>(attribute.value.data) &&
                         !std::holds_alternative<Value::Map>(attribute.value.data);
    if (is_small && is_flat && kept_.size() < kKept) kept_.push_back(std::move(attribute));
  }
  void keep(Span&& span) { keep_all(span.attributes); }
  void keep(ScopeSpans&& scope) { keep_all(scope.spans); }
  void keep(ResourceSpans&& group) { keep_all(group.scope_spans); }
  template <typename T>
  void keep(T&&) {}

  void append_to(std::vector<KeyValue>& attributes) {
    if (kept_.empty()) {
      attributes.emplace_back();
      return;
    }
    attributes.push_back(std::move(kept_.back()));
    kept_.pop_back();
  }
  template <typename T>
  void append_to(std::vector<T>& items) {
    items.emplace_back();
  }

 private:
  template <typename T>
  void keep_all(std::vector<T>& items) {
    for (T& item : items) keep(std::move(item));
  }
  std::vector<KeyValue> kept_;
};

/// Fills a list again from its start, so that what its elements have allocated serves the next
/// text; what is left over from the last one goes in the end.
template <typename T>
class Refill final {
 public:
  Refill(std::vector<T>& items, Spares& spares) : items_(items), spares_(spares) {}
  ~Refill() {
    for (size_t i = used_; i < items_.size(); ++i) spares_.keep(std::move(items_[i]));
    items_.resize(used_);
  }
  Refill(const Refill&) = delete;
  Refill& operator=(const Refill&) = delete;

  T& next() {
    if (used_ == items_.size()) spares_.append_to(items_);
    return items_[used_++];
  }
  void take_back() { --used_; }
  void reserve(size_t more) { items_.reserve(used_ + more); }

 private:
  std::vector<T>& items_;
  Spares& spares_;
  size_t used_ = 0;
};

/// Each reader overwrites its target, or returns false and leaves the problem for report().
class JsonFields {
 public:
  using Element = simdjson::dom::element;
  using OnProblem = std::function<void(std::string problem)>;

  JsonFields(const OnProblem& on_problem, Spares& spares)
      : spares_(spares), on_problem_(on_problem) {}
  JsonFields(const JsonFields&) = delete;
  JsonFields& operator=(const JsonFields&) = delete;

 protected:
  ~JsonFields() = default;

  Spares& spares_;

  /// Literals, so that the compiler compares words instead of calling memcmp.
  template <size_t N>
  static bool is(std::string_view key, const char (&name)[N]) {
    return key.size() == N - 1 && std::memcmp(key.data(), name, N - 1) == 0;
  }
  template <size_t N, size_t M>
  static bool is(std::string_view key, const char (&camel)[N], const char (&snake)[M]) {
    return is(key, camel) || is(key, snake);
  }

  static std::string shown(const Element& value) {
    if (value.is_string()) return quote(std::string_view(value));
    std::string text = simdjson::minify(value);
    if (text.size() > 60) text = text.substr(0, 57) + "...";
    return text;
  }

  bool fail(const Element& got, const std::string& expected) {
    problem_.text = "got " + shown(got) + ", expected " + expected;
    return false;
  }
  bool in_field(std::string_view key, bool good) {
    if (!good) {
      const bool nested = !problem_.path.empty() && problem_.path[0] != '[';
      problem_.path = std::string(key) + (nested ? "." : "") + problem_.path;
    }
    return good;
  }
  void report() {
    std::string path = std::move(problem_.path);
    for (auto outer = places_.rbegin(); outer != places_.rend(); ++outer) {
      path = place(outer->first, outer->second, path);
    }
    on_problem_(path + ": " + problem_.text);
    problem_ = {};
  }

  /// Calls `visit(key, value)` for each member that is not null; null is as absent in proto3 JSON.
  template <typename Visit>
  bool fields(const Element& value, const Visit& visit) {
    simdjson::dom::object object;
    if (value.get(object) != simdjson::SUCCESS) return fail(value, "an object");
    for (const auto& [key, member] : object) {
      if (member.is_null()) continue;
      if (!visit(key, member)) return false;
    }
    return true;
  }

  /// Appends a list's items to `out`. One that is bad ends it.
  template <typename T, typename Read>
  bool list(std::string_view key, const Element& value, Refill<T>& out, const Read& read) {
    simdjson::dom::array items;
    if (value.get(items) != simdjson::SUCCESS) return in_field(key, fail(value, "a list"));
    out.reserve(items.size());
    size_t index = 0;
    for (const Element item : items) {
      if (!read(item, out.next())) {
        problem_.path = place(key, index, problem_.path);
        return false;
      }
      ++index;
    }
    return true;
  }

  /// As list(), but an item that is bad is reported and left out.
  template <typename T, typename Read>
  bool each(std::string_view key, const Element& value, Refill<T>& out, const Read& read) {
    simdjson::dom::array items;
    if (value.get(items) != simdjson::SUCCESS) return in_field(key, fail(value, "a list"));
    out.reserve(items.size());
    places_.emplace_back(key, 0);
    for (const Element item : items) {
      if (!read(item, out.next())) {
        report();
        out.take_back();
      }
      ++places_.back().second;
    }
    places_.pop_back();
    return true;
  }

  bool text(std::string_view key, const Element& value, std::string& out) {
    std::string_view view;
    if (value.get(view) != simdjson::SUCCESS) return in_field(key, fail(value, "a string"));
    out = view;
    return true;
  }

  template <typename Id>
  bool id(std::string_view key, const Element& value, Id& out) {
    std::string_view view;
    constexpr size_t kDigits = 2 * std::tuple_size_v<decltype(out.bytes)>;
    if (value.get(view) != simdjson::SUCCESS ||
        (!view.empty() && !from_hex(view, out.bytes.data(), out.bytes.size()))) {
      return in_field(key, fail(value, std::to_string(kDigits) + " hex digits"));
    }
    return true;
  }

  /// A number, or a string with one, as proto3 JSON has 64-bit integers.
  bool integer(std::string_view key, const Element& value, int64_t& out, int64_t low, int64_t high,
               const char* expected) {
    std::string_view view;
    double number = 0;
    std::optional<int64_t> result;
    if (value.type() == simdjson::dom::element_type::INT64) {
      result = int64_t(value);
    } else if (value.get(view) == simdjson::SUCCESS) {
      result = parse_int(view);
    } else if (value.type() == simdjson::dom::element_type::DOUBLE &&
               value.get(number) == simdjson::SUCCESS && std::abs(number) < 9e15 &&
               std::trunc(number) == number) {
      result = static_cast<int64_t>(number);
    }
    if (!result || *result < low || *result > high) return in_field(key, fail(value, expected));
    out = *result;
    return true;
  }
  bool time(std::string_view key, const Element& value, int64_t& out) {
    return integer(key, value, out, 0, std::numeric_limits<int64_t>::max(),
                   "nanoseconds from 0 to 2^63 - 1");
  }
  bool unsigned32(std::string_view key, const Element& value, uint32_t& out,
                  const char* expected = "a count from 0 to 2^32 - 1") {
    int64_t number = 0;
    if (!integer(key, value, number, 0, std::numeric_limits<uint32_t>::max(), expected)) {
      return false;
    }
    out = static_cast<uint32_t>(number);
    return true;
  }
  bool flags(std::string_view key, const Element& value, uint32_t& out) {
    return unsigned32(key, value, out, "flags from 0 to 2^32 - 1");
  }

  template <typename E, size_t N>
  bool enumeration(std::string_view key, const Element& value, E& out, std::string_view prefix,
                   const std::array<std::string_view, N>& names) {
    std::string_view view;
    int64_t number = 0;
    if (value.type() == simdjson::dom::element_type::INT64 &&
        value.get(number) == simdjson::SUCCESS) {
      // A value that OTLP does not define is as good as none, as in the binary form.
      out = number >= 0 && number < static_cast<int64_t>(N) ? static_cast<E>(number) : E{};
      return true;
    }
    if (value.get(view) == simdjson::SUCCESS && view.starts_with(prefix)) {
      for (size_t i = 0; i < N; ++i) {
        if (view.substr(prefix.size()) != names[i]) continue;
        out = static_cast<E>(i);
        return true;
      }
    }
    return in_field(key,
                    fail(value, "an integer, or a name that starts with " + std::string(prefix)));
  }

 private:
  /// "spans[3]", and what follows it: ".traceId", "[2]" or nothing.
  static std::string place(std::string_view key, size_t index, const std::string& rest) {
    return std::string(key) + "[" + std::to_string(index) + "]" +
           (rest.empty() || rest[0] == '[' ? "" : ".") + rest;
  }

  /// What is wrong and where. The path grows from the inside out as the calls return.
  struct Problem {
    std::string path;
    std::string text;
  };

  const OnProblem& on_problem_;
  std::vector<std::pair<std::string_view, size_t>> places_;  // from the outside in
  Problem problem_;
};

}  // namespace touchstone::telemetry
