// What a sink is asked, over HTTP, in three vocabularies: Jaeger's current API, the older one that
// its UI and many clients use, and the list of spans that audit scripts read. GET all.
// Sources: Jaeger, internal/proto/api_v3/query_service.proto and "APIs" of its documentation
// (v2.13); times in the units of each. Pure but for the store; thread-safe.
#pragma once

#include <optional>
#include <string>

#include "harness/sink/span_store.h"
#include "http/http.h"
#include "http/query.h"

namespace touchstone::harness {

/// nullopt: `path` is none of its own.
std::optional<http::HttpResponse> answer_jaeger_v3(const SpanStore& store, const std::string& path,
                                                   const http::Query& query);
/// /api/traces, /api/services, /api/operations: `{"data": …}`, times in microseconds.
std::optional<http::HttpResponse> answer_jaeger_legacy(const SpanStore& store,
                                                       const std::string& path,
                                                       const http::Query& query);
/// GET /api/v1/spans?service=S&start=MS&end=MS&limit=20: `{"spans": [{"attributes": {…}, …}]}`, the
/// latest first; a span's attributes with those of its resource that it does not have itself.
std::optional<http::HttpResponse> answer_spans(const SpanStore& store, const std::string& path,
                                               const http::Query& query);

}  // namespace touchstone::harness
