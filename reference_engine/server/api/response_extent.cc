#include "reference_engine/server/api/response_extent.h"

#include <algorithm>

namespace touchstone::server::api {
namespace {

// Of a byte of text in JSON: \\u00XX.
constexpr int64_t kTextBytes = 6;
// Of a token id in a list.
constexpr int64_t kIdBytes = 12;
// Of one log-probability in any of the forms: names, a number of 20 digits, rank, a token's text.
constexpr int64_t kLogprobJsonBytes = 128;
// In memory: a token's list, and each entry; twice, since a sequence hands out a copy.
constexpr int64_t kTokenBytes = 64;
constexpr int64_t kLogprobBytes = 24;
// What an answer and a choice say besides.
constexpr int64_t kHeadBytes = 2048;
constexpr int64_t kChoiceBytes = 512;

int64_t size_of(const auto& container) { return static_cast<int64_t>(container.size()); }

}  // namespace

PromptExtent prompt_extent(const GenerationRequest& request, const ApiContext& context) {
  PromptExtent extent;
  int64_t entries = 0;  // of a token: itself and the most likely ones
  if (const auto& top = request.prompt_logprobs) {
    entries = 1 + int64_t{*top < 0 ? context.vocab_size : std::min(*top, context.vocab_size)};
  }
  // An echoed prompt is listed as if the choice had said it, too.
  const int64_t listings = request.echo && request.logprobs ? 2 : 1;
  for (const Prompt& prompt : request.prompts) {
    const int64_t tokens = size_of(prompt.token_ids);
    int64_t json = listings * tokens * entries * kLogprobJsonBytes;
    if (entries > 0 || request.echo || request.return_prompt_text) {
      json += (1 + listings) * kTextBytes * size_of(prompt.text);
    }
    if (request.return_token_ids) json += tokens * kIdBytes;
    extent.json_bytes += request.n * json;
    if (entries > 0) {
      extent.stored_bytes += request.n * tokens * (kTokenBytes + entries * kLogprobBytes);
    }
  }
  return extent;
}

int64_t choices_json_bytes(const GenerationRequest& request, std::span<const Choice> choices) {
  int64_t bytes = kHeadBytes + kTextBytes * (size_of(request.model) + size_of(request.chat_echo));
  for (const Choice& choice : choices) {
    bytes += kChoiceBytes + kTextBytes * size_of(choice.text);
    if (request.return_token_ids) bytes += kIdBytes * size_of(choice.token_ids);
    for (const auto& entries : choice.logprobs) {
      bytes += (1 + size_of(entries)) * kLogprobJsonBytes;
    }
    // Texts of tokens are said once more, and by their bytes, beside log-probabilities.
    if (!choice.logprobs.empty()) bytes += 2 * kTextBytes * size_of(choice.text);
  }
  return bytes;
}

}  // namespace touchstone::server::api
