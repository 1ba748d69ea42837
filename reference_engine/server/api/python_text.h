// Values as Python writes them, because vLLM's messages carry them. Thread-safe.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace touchstone::server::api {

/// repr() of a string: single quotes unless it holds some and no double ones.
std::string python_repr(std::string_view text);
/// repr() of a float: "2.0", "0.1", "1e-05".
std::string python_repr(double value);
/// repr() of a JSON value.
std::string python_repr(const nlohmann::json& value);

}  // namespace touchstone::server::api
