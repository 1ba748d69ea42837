// The answer to one generation request while the engine works on it: a mailbox that the engine
// fills and the connection empties, and what turns its content into JSON or events.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "http/http.h"
#include "reference_engine/engine/engine.h"
#include "reference_engine/server/api/context.h"
#include "reference_engine/server/api/generation_request.h"
#include "reference_engine/server/api/response.h"
#include "reference_engine/server/submission_of.h"
#include "telemetry/cost/price_table.h"

namespace touchstone::server {

/// Counts one request as in flight for as long as it lives.
class InFlight final {
 public:
  explicit InFlight(std::atomic<int64_t>& count) : count_(count) { count_.fetch_add(1); }
  ~InFlight() { count_.fetch_sub(1); }
  InFlight(const InFlight&) = delete;
  InFlight& operator=(const InFlight&) = delete;

 private:
  std::atomic<int64_t>& count_;
};

struct GenerationStart : ArrivedRequest {
  http::HttpHeaders headers;  ///< of the reply
  std::unique_ptr<InFlight> in_flight;
  /// Given what a full answer used, what to add to it; empty: nothing.
  std::function<api::UsageExtension(const telemetry::Usage&)> extend;
  /// Gets a whole response of /v1/responses that is to be kept; empty: it is not.
  std::function<void(std::string response)> keep;
  /// Called when the engine does not take it, with what the client is told.
  std::function<void(const api::ApiError&, engine::Engine::Admission)> on_refusal;
};

/// Gives the request to the engine. The reply is pending, or 503 when the engine takes no more.
/// `engine` and `context` outlive the reply. `block_size`: of the prefix cache's blocks.
http::Reply start_generation(GenerationStart start, engine::Engine& engine,
                             const api::ApiContext& context, int32_t block_size);

}  // namespace touchstone::server
