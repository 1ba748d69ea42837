// An API error as what goes over the wire. Pure; thread-safe.
#pragma once

#include <string>
#include <utility>

#include "http/http.h"
#include "reference_engine/server/api/api_error.h"
#include "reference_engine/server/api/response.h"

namespace touchstone::server {

inline http::HttpResponse error_response(const api::ApiError& error,
                                         http::HttpHeaders headers = {}) {
  return {.status = error.status,
          .content_type = std::string(api::kJsonContentType),
          .headers = std::move(headers),
          .body = api::error_body(error)};
}

}  // namespace touchstone::server
