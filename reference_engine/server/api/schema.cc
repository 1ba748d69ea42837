#include "reference_engine/server/api/schema.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/text.h"
#include "reference_engine/server/api/json_syntax.h"
#include "reference_engine/server/api/python_text.h"

namespace touchstone::server::api {
namespace {

using nlohmann::json;

constexpr size_t kErrorsShown = 10;
// Deeper bodies are refused before anything walks them recursively.
constexpr int kNestingMax = 128;

// Of a client's text, in an error: more helps nobody.
constexpr size_t kEchoedBytes = 4096;

std::string shortened(std::string_view text) {
  if (text.size() <= kEchoedBytes) return std::string(text);
  size_t end = kEchoedBytes;
  while ((static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return std::string(text.substr(0, end)) + "...";
}

std::string describe_input(const json& input) {
  const auto items = [&](const char* kind) {
    return "<" + std::string(kind) + " of " + std::to_string(input.size()) + " items>";
  };
  if (input.is_array()) return items("list");
  if (input.is_object()) return items("dict");
  if (input.is_string()) return shortened(input.get_ref<const std::string&>());
  return python_repr(input);
}

ApiError unreadable_body() {
  return {400, "Bad Request", "There was an error parsing the body", std::nullopt};
}

}  // namespace

void SchemaErrors::add(const char* type, const std::string& location, const std::string& message,
                       const json& input, const std::string& context) {
  count_ += 1;
  if (entries_.size() == kErrorsShown) return;
  const std::string place = shortened(location);
  std::string entry = "{'type': " + python_repr(std::string_view(type)) +
                      ", 'loc': " + python_repr(std::string_view(place)) +
                      ", 'msg': " + python_repr(std::string_view(message)) +
                      ", 'input': " + python_repr(std::string_view(describe_input(input)));
  if (!context.empty()) entry += ", 'ctx': " + context;
  if (entries_.empty()) first_location_ = place;
  entries_.push_back(entry + "}");
}

ApiError SchemaErrors::to_api_error() const {
  BASE_CHECK(!entries_.empty());
  std::string message = std::to_string(count_) + " validation error" + (count_ == 1 ? ":" : "s:");
  for (const std::string& entry : entries_) message += "\n  " + entry;
  if (count_ > entries_.size()) {
    message += "\n  ...and " + std::to_string(count_ - entries_.size()) + " more errors";
  }
  return {400, "Bad Request", message, first_location_};
}

ApiError schema_error(const std::string& entry, std::optional<std::string> param) {
  return {400, "Bad Request", "1 validation error:\n  " + entry, std::move(param)};
}

std::optional<int64_t> to_integer(const json& value, const std::string& location,
                                  SchemaErrors& errors) {
  // Python's integers have no end; ours do, and every limit is far below it.
  const auto too_large = [&](bool negative) -> std::optional<int64_t> {
    const std::string bound = std::to_string(negative ? INT64_MIN : INT64_MAX);
    errors.add(negative ? "greater_than_equal" : "less_than_equal", location,
               "Input should be " + std::string(negative ? "greater" : "less") +
                   " than or equal to " + bound,
               value, std::string(negative ? "{'ge': " : "{'le': ") + bound + "}");
    return std::nullopt;
  };
  if (value.is_number_unsigned()) {
    const auto number = value.get<uint64_t>();
    if (number > INT64_MAX) return too_large(false);
    return static_cast<int64_t>(number);
  }
  if (value.is_number_integer()) return value.get<int64_t>();
  if (value.is_boolean()) return value.get<bool>() ? 1 : 0;
  if (value.is_number_float()) {
    const double number = value.get<double>();
    if (std::trunc(number) != number) {
      errors.add("int_from_float", location,
                 "Input should be a valid integer, got a number with a fractional part", value);
      return std::nullopt;
    }
    if (number >= 0x1p63 || number < -0x1p63) return too_large(number < 0);
    return static_cast<int64_t>(number);
  }
  if (value.is_string()) {
    if (const auto parsed = parse_int(trim(value.get_ref<const std::string&>()))) return parsed;
    errors.add("int_parsing", location,
               "Input should be a valid integer, unable to parse string as an integer", value);
    return std::nullopt;
  }
  errors.add("int_type", location, "Input should be a valid integer", value);
  return std::nullopt;
}

std::optional<double> to_number(const json& value, const std::string& location,
                                SchemaErrors& errors) {
  if (value.is_number()) return value.get<double>();
  if (value.is_boolean()) return value.get<bool>() ? 1.0 : 0.0;
  if (value.is_string()) {
    if (const auto parsed = parse_double(trim(value.get_ref<const std::string&>()))) return parsed;
    errors.add("float_parsing", location,
               "Input should be a valid number, unable to parse string as a number", value);
    return std::nullopt;
  }
  errors.add("float_type", location, "Input should be a valid number", value);
  return std::nullopt;
}

Body::Body(const json& object, SchemaErrors& errors, std::string location)
    : object_(object), errors_(errors), location_(std::move(location)) {}

const json& Body::raw(const char* key) const {
  static const json null;
  const auto found = object_.find(key);
  return found == object_.end() ? null : *found;
}

bool Body::has(const char* key) const { return object_.contains(key); }

bool Body::truthy(const char* key) const {
  const json& value = raw(key);
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_number()) return value.get<double>() != 0;
  if (value.is_string()) return !value.get_ref<const std::string&>().empty();
  return !value.empty();
}

std::optional<int64_t> Body::integer(const char* key, const IntegerField& field) {
  const json& value = raw(key);
  if (!has(key) || (value.is_null() && field.null == Null::kAllowed)) return std::nullopt;
  const auto parsed = to_integer(value, location(key), errors_);
  if (!parsed) return std::nullopt;
  if (field.low && *parsed < *field.low) {
    const std::string low = std::to_string(*field.low);
    errors_.add("greater_than_equal", location(key),
                "Input should be greater than or equal to " + low, value, "{'ge': " + low + "}");
    return std::nullopt;
  }
  if (field.high && *parsed > *field.high) {
    const std::string high = std::to_string(*field.high);
    errors_.add("less_than_equal", location(key), "Input should be less than or equal to " + high,
                value, "{'le': " + high + "}");
    return std::nullopt;
  }
  return parsed;
}

std::optional<double> Body::number(const char* key, Null null) {
  if (!has(key) || (raw(key).is_null() && null == Null::kAllowed)) return std::nullopt;
  return to_number(raw(key), location(key), errors_);
}

std::optional<bool> Body::boolean(const char* key, Null null) {
  const json& value = raw(key);
  if (!has(key) || (value.is_null() && null == Null::kAllowed)) return std::nullopt;
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_number() && (value == 0 || value == 1)) return value == 1;
  if (value.is_string()) {
    const std::string text = to_lower(value.get_ref<const std::string&>());
    for (const char* yes : {"1", "true", "t", "yes", "y", "on"}) {
      if (text == yes) return true;
    }
    for (const char* no : {"0", "false", "f", "no", "n", "off"}) {
      if (text == no) return false;
    }
  }
  if (value.is_string() || value.is_number()) {
    errors_.add("bool_parsing", location(key),
                "Input should be a valid boolean, unable to interpret input", value);
  } else {
    errors_.add("bool_type", location(key), "Input should be a valid boolean", value);
  }
  return std::nullopt;
}

std::optional<std::string> Body::string(const char* key, Null null) {
  const json& value = raw(key);
  if (!has(key) || (value.is_null() && null == Null::kAllowed)) return std::nullopt;
  if (value.is_string()) return value.get<std::string>();
  errors_.add("string_type", location(key), "Input should be a valid string", value);
  return std::nullopt;
}

std::vector<int64_t> Body::integers(const char* key, Null null) {
  const json& value = raw(key);
  if (!has(key) || (value.is_null() && null == Null::kAllowed)) return {};
  if (!value.is_array()) {
    errors_.add("list_type", location(key), "Input should be a valid list", value);
    return {};
  }
  std::vector<int64_t> result;
  for (size_t i = 0; i < value.size(); ++i) {
    const auto parsed = to_integer(value[i], location(key) + "." + std::to_string(i), errors_);
    if (parsed) result.push_back(*parsed);
  }
  return result;
}

std::vector<std::string> Body::strings(const char* key) {
  if (!has(key)) return {};
  const json& value = raw(key);
  if (!value.is_array()) {
    errors_.add("list_type", location(key), "Input should be a valid list", value);
    return {};
  }
  std::vector<std::string> result;
  for (size_t i = 0; i < value.size(); ++i) {
    if (value[i].is_string()) {
      result.push_back(value[i].get<std::string>());
    } else {
      errors_.add("string_type", location(key) + "." + std::to_string(i),
                  "Input should be a valid string", value[i]);
    }
  }
  return result;
}

std::vector<std::string> Body::string_or_strings(const char* key, size_t size_max) {
  const json& value = raw(key);
  if (value.is_null()) return {};
  if (value.is_string()) return {value.get<std::string>()};
  const bool all_strings =
      value.is_array() &&
      std::all_of(value.begin(), value.end(), [](const json& each) { return each.is_string(); });
  if (all_strings && value.size() <= size_max) return value.get<std::vector<std::string>>();
  // Each alternative says why it is not the one.
  errors_.add("string_type", location(key), "Input should be a valid string", value);
  if (!value.is_array()) {
    errors_.add("list_type", location(key), "Input should be a valid list", value);
    return {};
  }
  if (value.size() > size_max) {
    const std::string max = std::to_string(size_max);
    const std::string actual = std::to_string(value.size());
    errors_.add(
        "too_long", location(key),
        "List should have at most " + max + " items after validation, not " + actual, value,
        "{'field_type': 'List', 'max_length': " + max + ", 'actual_length': " + actual + "}");
    return {};
  }
  return strings(key);
}

std::vector<std::pair<std::string, double>> Body::numbers_by_name(const char* key) {
  const json& value = raw(key);
  if (value.is_null()) return {};
  if (!value.is_object()) {
    errors_.add("dict_type", location(key), "Input should be a valid dictionary", value);
    return {};
  }
  std::vector<std::pair<std::string, double>> result;
  for (const auto& [name, member] : value.items()) {
    const auto parsed = to_number(member, location(key) + "." + name, errors_);
    if (parsed) result.emplace_back(name, *parsed);
  }
  return result;
}

std::optional<std::string> Body::word(const char* key, const std::vector<std::string>& words) {
  const json& value = raw(key);
  if (value.is_null()) return std::nullopt;
  std::string expected;
  for (size_t i = 0; i < words.size(); ++i) {
    if (value == words[i]) return words[i];
    if (i > 0) expected += i + 1 == words.size() ? " or " : ", ";
    expected += "'" + words[i] + "'";
  }
  errors_.add("literal_error", location(key), "Input should be " + expected, value,
              "{'expected': " + python_repr(std::string_view(expected)) + "}");
  return std::nullopt;
}

std::optional<Body> Body::object(const char* key) {
  const json& value = raw(key);
  if (value.is_null()) return std::nullopt;
  if (!value.is_object()) {
    errors_.add("model_attributes_type", location(key),
                "Input should be a valid dictionary or object to extract fields from", value);
    return std::nullopt;
  }
  return Body(value, errors_, location(key));
}

std::optional<ApiError> parse_body(std::string_view body, std::string_view content_type,
                                   json& out) {
  const std::string media_type = to_lower(trim(split(content_type, ';')[0]));
  if (media_type != "application/json") {
    return schema_error("Unsupported Media Type: Only 'application/json' is allowed", std::nullopt);
  }
  SchemaErrors errors;
  if (body.empty()) {
    errors.add("missing", "body", "Field required", json());
    return errors.to_api_error();
  }
  if (json_extent(body).depth > kNestingMax) return unreadable_body();
  out = json::parse(body, nullptr, false);
  if (out.is_discarded()) {
    const auto error = find_json_error(body);
    // Python reads NaN, Infinity and lone surrogates; we do not.
    if (!error) return unreadable_body();
    errors.add("json_invalid", "body." + std::to_string(error->position), "JSON decode error",
               json::object(), "{'error': " + python_repr(std::string_view(error->message)) + "}");
    return errors.to_api_error();
  }
  if (out.is_null()) {
    errors.add("missing", "body", "Field required", json());
    return errors.to_api_error();
  }
  if (!out.is_object()) {
    errors.add("model_attributes_type", "body",
               "Input should be a valid dictionary or object to extract fields from", out);
    return errors.to_api_error();
  }
  return std::nullopt;
}

}  // namespace touchstone::server::api
