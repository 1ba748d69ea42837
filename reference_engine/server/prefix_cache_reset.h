// POST /reset_prefix_cache, of servers in development mode: asks the engine's thread, waits for it
// without holding up anybody, and says whether it was done. Source: vLLM 0.32.0
// entrypoints/serve/dev/cache/api_router.py.
#pragma once

#include "http/http.h"
#include "reference_engine/engine/engine.h"

namespace touchstone::server {

/// A pending answer with `headers`: {"success": …}, or 503 at the server's end. Parameters of the
/// query: reset_running_requests preempts what runs, reset_external changes nothing, since there is
/// no external cache; 400 for a value that is no truth value.
http::Reply reset_prefix_cache(const http::HttpRequest& request, http::HttpHeaders headers,
                               engine::Engine& engine);

}  // namespace touchstone::server
