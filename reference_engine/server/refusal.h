// The record of a generation request that never became one of the engine's: a bad key, a body that
// does not fit, a model that is not served, too many waiting. Pure; thread-safe.
#pragma once

#include <cstdint>
#include <string>

#include "http/http.h"
#include "records/request_record.h"
#include "reference_engine/server/api/api_error.h"
#include "reference_engine/server/api/context.h"

namespace touchstone::server {

/// What the record names as the request's model is cut to so many bytes.
inline constexpr size_t kAskedModelBytesMax = 256;

/// `request_id`: as an accepted one's would be. The trace is the caller's to fill in.
records::RequestRecord refused_record(const http::HttpRequest& request, const api::ApiError& error,
                                      std::string request_id, const api::ApiContext& context,
                                      int64_t now_ns);

}  // namespace touchstone::server
