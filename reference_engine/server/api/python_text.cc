#include "reference_engine/server/api/python_text.h"

#include <nlohmann/json.hpp>

#include "base/json_text.h"

namespace touchstone::server::api {

std::string python_repr(const nlohmann::json& value) {
  switch (value.type()) {
    case nlohmann::json::value_t::null:
      return "None";
    case nlohmann::json::value_t::boolean:
      return value.get<bool>() ? "True" : "False";
    case nlohmann::json::value_t::string:
      return python_repr(std::string_view(value.get_ref<const std::string&>()));
    case nlohmann::json::value_t::number_float:
      return python_repr(value.get<double>());
    case nlohmann::json::value_t::array: {
      std::string out = "[";
      for (const auto& element : value) {
        if (out.size() > 1) out += ", ";
        out += python_repr(element);
      }
      return out + "]";
    }
    case nlohmann::json::value_t::object: {
      std::string out = "{";
      for (const auto& [key, element] : value.items()) {
        if (out.size() > 1) out += ", ";
        out += python_repr(std::string_view(key)) + ": " + python_repr(element);
      }
      return out + "}";
    }
    default:
      return value.dump();
  }
}

std::string python_json(const nlohmann::ordered_json& value) {
  std::string out;
  if (value.is_object()) {
    for (const auto& [key, element] : value.items()) {
      out += out.empty() ? "{" : ", ";
      append_json_string(out, key);
      out += ": " + python_json(element);
    }
    return out.empty() ? "{}" : out + "}";
  }
  if (value.is_array()) {
    for (const auto& element : value) {
      out += out.empty() ? "[" : ", ";
      out += python_json(element);
    }
    return out.empty() ? "[]" : out + "]";
  }
  if (value.is_string()) {
    append_json_string(out, value.get_ref<const std::string&>());
    return out;
  }
  return value.is_number_float() ? python_repr(value.get<double>()) : value.dump();
}

}  // namespace touchstone::server::api
