// From the API's words to the engine's: what a validated HTTP request asks the engine for.
// Pure; thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "records/request_record.h"
#include "reference_engine/engine/engine.h"
#include "reference_engine/engine/submission.h"
#include "reference_engine/server/api/api_error.h"
#include "reference_engine/server/api/generation_request.h"

namespace touchstone::server {

/// A validated request and what the server knows of how it came.
struct ArrivedRequest {
  std::shared_ptr<const api::GenerationRequest> request;
  std::string response_id;  ///< "cmpl-…", "chatcmpl-…"
  std::optional<records::TraceContext> trace;
  std::optional<SpanId> http_span_id;    ///< as in the record
  std::optional<SpanId> caller_span_id;  ///< likewise
  std::optional<TraceId> own_trace_id;   ///< without `trace`: of the trace that it begins
  std::string tenant;                    ///< empty: not known
  int64_t content_bytes_max = 0;         ///< 0: no content is captured
  /// What request->grammar came to; null when it has none.
  std::shared_ptr<const engine::ConstraintSource> constraint;
  int64_t arrival_unix_ns = 0;
  int64_t arrival_ns = 0;              ///< monotonic
  std::optional<int64_t> tokenize_ns;  ///< from the body to the prompts' tokens
};

/// Hashes the prompts' blocks of `block_size` tokens, so call it off the engine thread. The
/// submission shares the request's tokens.
engine::Submission submission_of(const ArrivedRequest& arrived, int32_t block_size,
                                 std::shared_ptr<engine::OutputSink> sink);

/// What a client is told of a submission that was not accepted. REQUIRES: `why` is not kAccepted.
api::ApiError refusal_of(const engine::Engine& engine, engine::Engine::Admission why);

}  // namespace touchstone::server
