// Bodies of POST /v1/load_lora_adapter and /v1/unload_lora_adapter. Pure.
// Source: vLLM 0.32 entrypoints/serve/lora/protocol.py.
#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "reference_engine/server/api/api_error.h"
#include "reference_engine/server/api/generation_request.h"

namespace touchstone::server::api {

struct LoadAdapterRequest {
  std::string name;
  std::string path;
  bool load_inplace = false;    ///< in place of one with this name
  std::string base_model_name;  ///< of --lora-modules; empty, or not served: the first served name
};

std::variant<LoadAdapterRequest, ApiError> parse_load_adapter(std::string_view body,
                                                              const RequestHeaders& headers);
/// The adapter's name.
std::variant<std::string, ApiError> parse_unload_adapter(std::string_view body,
                                                         const RequestHeaders& headers);

}  // namespace touchstone::server::api
