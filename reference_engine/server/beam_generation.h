// The answer to one request with use_beam_search: one request of one token to the engine for each
// beam and token, as vLLM does it; their ids end in -STEP-beam-I.
#pragma once

#include <memory>

#include "http/http.h"
#include "reference_engine/engine/engine.h"
#include "reference_engine/server/api/context.h"
#include "reference_engine/server/generation.h"

namespace touchstone::server {

struct StartedBeams {
  engine::Engine::Admission admission;
  std::unique_ptr<http::PendingReply> reply;
};

/// Gives each prompt's first beam to the engine. REQUIRES: start.request->beams.
/// As start_generation().
StartedBeams start_beams(GenerationStart start, engine::Engine& engine,
                         const api::ApiContext& context, int32_t block_size);

}  // namespace touchstone::server
