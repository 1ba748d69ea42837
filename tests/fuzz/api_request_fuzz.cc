// Bodies of completion, chat, tokenize and detokenize requests. What is accepted is also answered,
// so that no accepted request breaks the response shaping.
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "reference_engine/server/api/generation_request.h"
#include "reference_engine/server/api/response.h"
#include "tests/tokenizer/small_tokenizer.h"

namespace {

using namespace touchstone;               // NOLINT
using namespace touchstone::server::api;  // NOLINT

struct Server {
  std::unique_ptr<tokenizer::Tokenizer> tokenizer =
      tokenizer::parse_small(tokenizer::small_tokenizer_json());
  std::unique_ptr<chat_template::ChatTemplate> chat_template =
      std::move(chat_template::ChatTemplate::parse(
                    "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"))
          .value();
  ApiContext context;
  Server() {
    context.served_model_names = {"tiny"};
    context.tokenizer = tokenizer.get();
    context.chat_template = chat_template.get();
    context.max_model_len = 512;
    context.vocab_size = 260;
    context.max_chars_per_token = 5;
    context.eos_token_id = 0;
  }
};

void answer(const ParsedGeneration& parsed, const ApiContext& context) {
  if (const auto* error = std::get_if<ApiError>(&parsed)) {
    BASE_CHECK(error->status >= 400 && !error->message.empty());
    (void)error_body(*error);
    return;
  }
  const auto& request = std::get<GenerationRequest>(parsed);
  BASE_CHECK(!request.prompts.empty() && request.n >= 1);
  for (const Prompt& prompt : request.prompts) {
    BASE_CHECK(!prompt.token_ids.empty() && prompt.max_tokens >= 1);
    BASE_CHECK(static_cast<int64_t>(prompt.token_ids.size()) + prompt.max_tokens <=
               context.max_model_len);
  }
  if (request.n > 8 || request.prompts.size() > 8) return;
  std::vector<Choice> choices;
  std::vector<PromptResult> prompts(request.prompts.size());
  for (size_t i = 0; i < prompts.size(); ++i) {
    if (request.prompt_logprobs) {
      prompts[i].logprobs.resize(request.prompts[i].token_ids.size());
    }
    for (int32_t k = 0; k < request.n; ++k) {
      Choice choice;
      choice.index = static_cast<int32_t>(i) * request.n + k;
      choice.text = "h\xFF";
      choice.token_ids = {1};
      if (request.logprobs) choice.logprobs = {{{1, -0.5F, 1}, {2, -1e30F, 2}}};
      choice.finish_reason = "stop";
      choices.push_back(choice);
    }
  }
  (void)full_response(request, context, {"id", 1}, choices, prompts);
  EventStream events(request, context, {"id", 1});
  for (size_t i = 0; i < prompts.size(); ++i) (void)events.prompt_done(i, prompts[i]);
  for (const Choice& choice : choices) (void)events.delta(choice);
  (void)events.finish();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Server server;
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  const RequestHeaders headers{
      .content_type = "application/json", .x_request_id = {}, .x_vllm_priority = {}};
  answer(parse_completion(body, headers, server.context), server.context);
  answer(parse_chat(body, headers, server.context), server.context);
  (void)parse_tokenize(body, headers, server.context);
  const auto detokenize = parse_detokenize(body, headers, server.context);
  if (const auto* request = std::get_if<DetokenizeRequest>(&detokenize)) {
    (void)detokenize_response(*request, server.context);
  }
  return 0;
}
