// Reads typed fields of a JSON body and collects every mismatch, worded and located as pydantic
// does in vLLM's messages. Thread-compatible. Source: pydantic 2.12 (lax mode), vLLM 0.32.0
// recorded exchanges.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "reference_engine/server/api/api_error.h"

namespace touchstone::server::api {

class SchemaErrors final {
 public:
  /// `location`: "body.max_tokens". `context`: the error's ctx as Python text, or empty.
  void add(const char* type, const std::string& location, const std::string& message,
           const nlohmann::json& input, const std::string& context = {});
  bool empty() const { return count_ == 0; }
  /// "2 validation errors:…"; the first location is the parameter. REQUIRES: not empty.
  ApiError to_api_error() const;

 private:
  std::vector<std::string> entries_;  // the first ten; of the rest only the number is told
  size_t count_ = 0;
  std::string first_location_;
};

/// An error that is not about one field.
ApiError schema_error(const std::string& entry, std::optional<std::string> param);

enum class Null { kAllowed, kRefused };

struct IntegerField {
  Null null = Null::kAllowed;
  std::optional<int64_t> low = std::nullopt;
  std::optional<int64_t> high = std::nullopt;
};

/// The fields of one object. Absent fields and nulls read as nullopt; so do mismatches, which
/// are added to the errors.
class Body final {
 public:
  /// `object` is an object. Both outlive this. `location` is the object's own, "body".
  Body(const nlohmann::json& object, SchemaErrors& errors, std::string location = "body");

  /// The value at `key`; null when absent.
  const nlohmann::json& raw(const char* key) const;
  bool has(const char* key) const;
  /// Python's truth of the value: false for absent, null, false, 0, "" and empty containers.
  bool truthy(const char* key) const;

  std::optional<int64_t> integer(const char* key, const IntegerField& field = {});
  std::optional<double> number(const char* key, Null null = Null::kAllowed);
  std::optional<bool> boolean(const char* key, Null null = Null::kAllowed);
  std::optional<std::string> string(const char* key, Null null = Null::kAllowed);
  std::vector<int64_t> integers(const char* key, Null null = Null::kAllowed);
  std::vector<std::string> strings(const char* key);
  /// A string or a list of at most `size_max` strings.
  std::vector<std::string> string_or_strings(const char* key, size_t size_max);
  std::vector<std::pair<std::string, double>> numbers_by_name(const char* key);
  /// One of `words`.
  std::optional<std::string> word(const char* key, const std::vector<std::string>& words);
  /// The object at `key`, or nullopt.
  std::optional<Body> object(const char* key);

  const nlohmann::json& tree() const { return object_; }
  std::string location(const char* key) const { return location_ + "." + key; }
  SchemaErrors& errors() const { return errors_; }

 private:
  const nlohmann::json& object_;
  SchemaErrors& errors_;
  std::string location_;
};

/// Pydantic's lax conversions; nullopt adds an error at `location`.
std::optional<int64_t> to_integer(const nlohmann::json& value, const std::string& location,
                                  SchemaErrors& errors);
std::optional<double> to_number(const nlohmann::json& value, const std::string& location,
                                SchemaErrors& errors);

/// The body as an object, or what is wrong with it as a whole: content type, no body, no JSON, no
/// object, nested too deep. Fills `out`.
std::optional<ApiError> parse_body(std::string_view body, std::string_view content_type,
                                   nlohmann::json& out);

}  // namespace touchstone::server::api
