// Values as Python writes them, because vLLM's messages carry them. Thread-safe.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "base/python_repr.h"

namespace touchstone::server::api {

using touchstone::python_repr;
/// repr() of a JSON value.
std::string python_repr(const nlohmann::json& value);
/// json.dumps(value, ensure_ascii=False).
std::string python_json(const nlohmann::ordered_json& value);

}  // namespace touchstone::server::api
