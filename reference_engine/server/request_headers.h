// The headers of a request that the API reads. Pure; thread-safe.
#pragma once

#include "http/http.h"
#include "reference_engine/server/api/generation_request.h"

namespace touchstone::server {

inline api::RequestHeaders request_headers(const http::HttpRequest& request) {
  return {.content_type = request.header("content-type").value_or(""),
          .x_request_id = request.header("x-request-id"),
          .x_vllm_priority = request.header("x-vllm-priority")};
}

}  // namespace touchstone::server
