// How large an answer gets, from above and before it is made: what a server's byte budget is
// charged for it. Pure; thread-safe.
#pragma once

#include <cstdint>
#include <span>

#include "reference_engine/server/api/generation_request.h"
#include "reference_engine/server/api/response.h"

namespace touchstone::server::api {

/// What an answer says of the request's prompts: known before anything is computed.
struct PromptExtent {
  int64_t stored_bytes = 0;  ///< their log-probabilities, once for each choice
  int64_t json_bytes = 0;    ///< the same, ids and texts as far as asked for, as JSON
};
PromptExtent prompt_extent(const GenerationRequest& request, const ApiContext& context);

/// JSON of what the choices have said, and of what every answer says.
int64_t choices_json_bytes(const GenerationRequest& request, std::span<const Choice> choices);

}  // namespace touchstone::server::api
