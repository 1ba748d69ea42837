// The routes that load and unload LoRA adapters while the server runs.
#include <string>
#include <variant>

#include "base/text.h"
#include "reference_engine/server/api/api_error.h"
#include "reference_engine/server/request_headers.h"
#include "reference_engine/server/request_memory.h"
#include "reference_engine/server/served_adapters.h"
#include "reference_engine/server/service.h"

namespace touchstone::server {

http::Reply Service::load_adapter(http::HttpRequest& request) {
  if (const auto refused = take_memory(request, parsing_bytes(request.body, kTextCopies))) {
    return error_reply(*refused);
  }
  const auto parsed = api::parse_load_adapter(request.body, request_headers(request));
  if (const auto* error = std::get_if<api::ApiError>(&parsed)) return error_reply(*error);
  const auto& wanted = std::get<api::LoadAdapterRequest>(parsed);
  const auto before = options_.adapters->find(wanted.name);
  if (const auto refused = options_.adapters->load(wanted)) return error_reply(*refused);
  log_.warn("LoRA adapters", std::string(before != nullptr ? "loaded in place" : "loaded") +
                                 ": name " + quote(wanted.name) + ", path " + quote(wanted.path));
  return reply(200, "", "Success: LoRA adapter '" + wanted.name + "' added successfully.");
}

http::Reply Service::unload_adapter(http::HttpRequest& request) {
  if (const auto refused = take_memory(request, parsing_bytes(request.body, kTextCopies))) {
    return error_reply(*refused);
  }
  const auto parsed = api::parse_unload_adapter(request.body, request_headers(request));
  if (const auto* error = std::get_if<api::ApiError>(&parsed)) return error_reply(*error);
  const auto& name = std::get<std::string>(parsed);
  if (const auto refused = options_.adapters->unload(name)) return error_reply(*refused);
  log_.warn("LoRA adapters", "unloaded: name " + quote(name));
  return reply(200, "", "Success: LoRA adapter '" + name + "' removed successfully.");
}

}  // namespace touchstone::server
