// Attribute values as plain JSON: text as text, numbers as numbers, lists as lists. Pure.
#pragma once

#include <nlohmann/json.hpp>

#include "http/http.h"
#include "telemetry/span.h"

namespace touchstone::harness {

nlohmann::json plain_json(const telemetry::Value& value);

/// `body` as application/json. Text that is no UTF-8 gets U+FFFD.
http::HttpResponse json_response(int status, const nlohmann::json& body);

}  // namespace touchstone::harness
