#include "harness/sink/json_values.h"

#include <type_traits>

namespace touchstone::harness {

using nlohmann::json;
using telemetry::Value;

json plain_json(const Value& value) {
  return std::visit(
      [](const auto& held) -> json {
        using Held = std::decay_t<decltype(held)>;
        if constexpr (std::is_same_v<Held, std::monostate>) {
          return nullptr;
        } else if constexpr (std::is_same_v<Held, Value::Array>) {
          json items = json::array();
          for (const Value& item : held) items.push_back(plain_json(item));
          return items;
        } else if constexpr (std::is_same_v<Held, Value::Map>) {
          json fields = json::object();
          for (const telemetry::KeyValue& one : held) fields[one.key] = plain_json(one.value);
          return fields;
        } else if constexpr (std::is_same_v<Held, Value::Bytes>) {
          return to_hex(reinterpret_cast<const uint8_t*>(held.data.data()), held.data.size());
        } else {
          return held;
        }
      },
      value.data);
}

http::HttpResponse json_response(int status, const json& body) {
  return {status,
          "application/json",
          {},
          body.dump(-1, ' ', false, json::error_handler_t::replace) + "\n"};
}

}  // namespace touchstone::harness
