#include "reference_engine/server/refusal.h"

#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "base/utf8.h"

namespace touchstone::server {
namespace {

// A refused body may be large or no JSON at all: the model is looked for in its beginning.
constexpr size_t kBytesRead = 65'536;

/// `model` of a body that need not be whole; empty when it has none.
std::string asked_model(std::string_view body) {
  using nlohmann::json;
  std::string model;
  bool is_model = false;
  const json::parser_callback_t look = [&](int depth, json::parse_event_t event, json& value) {
    if (event == json::parse_event_t::key) is_model = depth == 1 && value == "model";
    if (event == json::parse_event_t::value && depth == 1 && is_model && value.is_string()) {
      model = value.get<std::string>();
    }
    // Nothing but the body's own object is kept.
    return event == json::parse_event_t::key || depth == 0;
  };
  [[maybe_unused]] const json rest = json::parse(body.substr(0, kBytesRead), look, false);
  return std::string(utf8_prefix(model, kAskedModelBytesMax));
}

}  // namespace

records::RequestRecord refused_record(const http::HttpRequest& request, const api::ApiError& error,
                                      std::string request_id, const api::ApiContext& context,
                                      int64_t now_ns) {
  records::RequestRecord record;
  record.request_id = std::move(request_id);
  record.endpoint = request.path;
  record.model = asked_model(request.body);
  // Who names no model gets the served one, as in vLLM.
  if (record.model.empty()) record.model = context.served_model_names.front();
  record.arrival_unix_ns = request.arrival_unix_ns;
  record.arrival_ns = request.arrival_ns;
  record.finished_ns = now_ns;
  record.outcome = records::Outcome::kRefused;
  record.http_status = error.status;
  record.error_type = error.type;
  return record;
}

}  // namespace touchstone::server
