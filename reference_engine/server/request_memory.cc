#include "reference_engine/server/request_memory.h"

#include "reference_engine/server/api/json_syntax.h"
#include "reference_engine/server/api/response_extent.h"
#include "reference_engine/server/beam_search.h"

namespace touchstone::server {
namespace {

// Of each byte of text while it is tokenized: pieces, merges, ids.
constexpr int64_t kTokenizingBytes = 16;
// Of a choice before it has said anything: sequence, detokenizer, record, scheduler's entry.
constexpr int64_t kChoiceBytes = 4096;

}  // namespace

int64_t parsing_bytes(std::string_view body, int64_t copies) {
  return copies * api::json_extent(body).tree_bytes +
         kTokenizingBytes * static_cast<int64_t>(body.size());
}

int64_t bytes_of(const api::GenerationRequest& request, const api::ApiContext& context) {
  const api::PromptExtent answer = api::prompt_extent(request, context);
  int64_t bytes = answer.stored_bytes + answer.json_bytes;
  for (const api::Prompt& prompt : request.prompts) {
    const int64_t ids = static_cast<int64_t>(prompt.token_ids.size() * sizeof(int32_t));
    bytes += static_cast<int64_t>(prompt.text.size()) + 2 * ids +
             request.n * (kChoiceBytes + ids);  // each choice is a sequence of its own
    if (request.beams) {
      bytes += BeamSearch::bytes_max(request.n, prompt.max_tokens, request.logprobs.has_value());
    }
  }
  return bytes;
}

}  // namespace touchstone::server
