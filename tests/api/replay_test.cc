// Everything in the recorded exchanges that can be decided without an engine: refused requests give
// the recorded error, and the recorded answers are what our response functions write, byte for
// byte.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "reference_engine/server/api/generation_request.h"
#include "reference_engine/server/api/response.h"
#include "tests/api/recorded_context.h"

namespace touchstone::server::api {
namespace {

using nlohmann::json;

RequestHeaders request_headers(const test::Exchange& exchange) {
  RequestHeaders headers;
  for (const auto& [name, value] : exchange.headers) {
    if (name == "content-type") headers.content_type = value;
    if (name == "x-request-id") headers.x_request_id = value;
  }
  return headers;
}

bool is_generation(const test::Exchange& exchange) {
  return exchange.method == "POST" &&
         (exchange.path == "/v1/completions" || exchange.path == "/v1/chat/completions");
}

ParsedGeneration parse(const test::Exchange& exchange, const ApiContext& context) {
  return exchange.path == "/v1/completions"
             ? parse_completion(exchange.body, request_headers(exchange), context)
             : parse_chat(exchange.body, request_headers(exchange), context);
}

// "choices" of a full recorded response as input for our shaping. Token ids are recorded only where
// they were asked for; elsewhere their number alone matters.
class Recording {
 public:
  Recording(const json& response, const GenerationRequest& request, const ApiContext& context)
      : request_(request), context_(context) {
    for (int32_t id = 0; id < context.tokenizer->vocab_size(); ++id) {
      ids_.emplace(context.tokenizer->decode(std::vector<int32_t>{id}, false), id);
    }
    for (const json& choice : response["choices"]) choices.push_back(read_choice(choice));
    auto left = response["usage"]["completion_tokens"].get<size_t>();
    for (Choice& choice : choices) {
      if (!choice.token_ids.empty()) continue;
      const size_t share = &choice == &choices.back() ? left : left / choices.size();
      choice.token_ids.assign(share, 0);
      left -= share;
    }
    for (size_t i = 0; i < request.prompts.size(); ++i) prompts.push_back(read_prompt(response, i));
  }

  std::vector<Choice> choices;
  std::vector<PromptResult> prompts;

 private:
  Choice read_choice(const json& recorded) {
    Choice choice;
    choice.index = recorded["index"].get<int32_t>();
    const bool chat = recorded.contains("message");
    choice.text = (chat ? recorded["message"]["content"] : recorded["text"]).get<std::string>();
    if (request_.echo) choice.text.erase(0, request_.prompts[0].text.size());
    choice.finish_reason = recorded["finish_reason"].get<std::string>();
    const json& stop = recorded["stop_reason"];
    if (stop.is_string()) choice.stop_reason = stop.get<std::string>();
    if (stop.is_number()) choice.stop_reason = stop.get<int32_t>();
    if (recorded["token_ids"].is_array())
      choice.token_ids = recorded["token_ids"].get<std::vector<int32_t>>();
    if (recorded["logprobs"].is_object()) {
      if (chat) {
        read_chat_logprobs(recorded["logprobs"]["content"], choice);
      } else {
        read_completion_logprobs(recorded["logprobs"], choice);
      }
    }
    return choice;
  }

  sampling::TokenLogprob entry(const std::string& token, const json& logprob) const {
    return {.token = ids_.at(token), .logprob = logprob.get<float>(), .rank = 0};
  }

  void read_completion_logprobs(const json& recorded, Choice& choice) {
    const size_t skip = request_.echo ? request_.prompts[0].token_ids.size() : 0;
    for (size_t i = skip; i < recorded["tokens"].size(); ++i) {
      const auto token = recorded["tokens"][i].get<std::string>();
      choice.token_ids.push_back(ids_.at(token));
      std::vector<sampling::TokenLogprob> entries = {entry(token, recorded["token_logprobs"][i])};
      std::vector<std::pair<float, std::string>> top;
      for (const auto& [name, value] : recorded["top_logprobs"][i].items()) {
        top.emplace_back(-value.get<float>(), name);
      }
      std::sort(top.begin(), top.end());
      for (const auto& [negative, name] : top) entries.push_back(entry(name, -negative));
      choice.logprobs.push_back(entries);
    }
  }

  void read_chat_logprobs(const json& recorded, Choice& choice) {
    for (const json& token : recorded) {
      choice.token_ids.push_back(ids_.at(token["token"].get<std::string>()));
      std::vector<sampling::TokenLogprob> entries = {entry(token["token"], token["logprob"])};
      for (const json& top : token["top_logprobs"])
        entries.push_back(entry(top["token"], top["logprob"]));
      choice.logprobs.push_back(entries);
    }
  }

  PromptResult read_prompt(const json& response, size_t index) const {
    PromptResult prompt;
    const json& details = response["usage"]["prompt_tokens_details"];
    if (details.is_object()) prompt.num_cached_tokens = details["cached_tokens"].get<int32_t>();
    const json& recorded = response["choices"][0].value("prompt_logprobs", json());
    if (!recorded.is_array()) return prompt;
    const auto& ids = request_.prompts[index].token_ids;
    for (size_t i = 0; i < recorded.size(); ++i) {
      std::vector<sampling::TokenLogprob> entries;
      const json members = recorded[i].is_object() ? recorded[i] : json::object();
      for (const auto& [key, value] : members.items()) {
        const sampling::TokenLogprob one{std::stoi(key), value["logprob"].get<float>(),
                                         value["rank"].get<int32_t>()};
        entries.insert(one.token == ids[i] ? entries.begin() : entries.end(), one);
      }
      prompt.logprobs.push_back(entries);
    }
    return prompt;
  }

  const GenerationRequest& request_;
  const ApiContext& context_;
  std::map<std::string, int32_t> ids_;
};

TEST(RecordedExchanges, RefusedRequestsGetTheRecordedError) {
  const RecordedContext server;
  int refused = 0;
  int same_message = 0;
  for (const test::Exchange& exchange : recorded_exchanges()) {
    if (!is_generation(exchange)) continue;
    const ParsedGeneration parsed = parse(exchange, server.context());
    const auto* error = std::get_if<ApiError>(&parsed);
    ASSERT_EQ(error != nullptr, exchange.status >= 400)
        << exchange.name << ": " << (error == nullptr ? "accepted" : error->message);
    if (error == nullptr) continue;
    ++refused;
    const auto differences = test::compare_exchange(
        exchange, {error->status, std::string(kJsonContentType), error_body(*error)});
    EXPECT_TRUE(differences.empty()) << exchange.name << ": " << differences.front();
    if (error_body(*error) == exchange.response) {
      ++same_message;
    } else {
      ADD_FAILURE() << exchange.name << "\n  got      " << error_body(*error) << "\n  expected "
                    << exchange.response;
    }
  }
  EXPECT_EQ(refused, 40);
  EXPECT_EQ(same_message, refused);
}

TEST(RecordedExchanges, FullAnswersAreWrittenByteForByte) {
  const RecordedContext server;
  int compared = 0;
  for (const test::Exchange& exchange : recorded_exchanges()) {
    const auto type = exchange.response_headers.find("content-type");
    if (!is_generation(exchange) || exchange.status != 200 || type->second != kJsonContentType) {
      continue;
    }
    const ParsedGeneration parsed = parse(exchange, server.context());
    ASSERT_TRUE(std::holds_alternative<GenerationRequest>(parsed)) << exchange.name;
    const auto& request = std::get<GenerationRequest>(parsed);
    const json recorded = json::parse(exchange.response);
    const Recording recording(recorded, request, server.context());
    EXPECT_EQ(recording.choices.size(), request.prompts.size() * static_cast<size_t>(request.n));
    const ResponseHead head{recorded["id"].get<std::string>(), recorded["created"].get<int64_t>()};
    EXPECT_EQ(full_response(request, server.context(), head, recording.choices, recording.prompts),
              exchange.response)
        << exchange.name;
    const std::string base = request.request_id_base.value_or("");
    const std::string prefix(response_id_prefix(request.endpoint));
    EXPECT_TRUE(base.empty() ? head.id.size() == prefix.size() + 16 : head.id == prefix + base)
        << head.id;
    ++compared;
  }
  EXPECT_EQ(compared, 53);
}

// The deltas that make the recorded events.
std::string restream(const test::Exchange& exchange, const GenerationRequest& request,
                     const ApiContext& context) {
  std::map<std::string, int32_t> ids;
  for (int32_t id = 0; id < context.tokenizer->vocab_size(); ++id) {
    ids.emplace(context.tokenizer->decode(std::vector<int32_t>{id}, false), id);
  }
  std::vector<json> events;
  for (const std::string& event : test::stream_events(exchange.response)) {
    if (event != "[DONE]") events.push_back(json::parse(event));
  }
  PromptResult prompt;
  const json usage = events.back().value("usage", json::object());
  prompt.num_cached_tokens =
      usage.value("prompt_tokens_details", json::object()).value("cached_tokens", 0);
  EventStream stream(request, context,
                     {events[0]["id"].get<std::string>(), events[0]["created"].get<int64_t>()});
  std::string out = stream.prompt_done(0, prompt);
  for (const json& event : events) {
    if (event["choices"].empty()) continue;
    const json& recorded = event["choices"][0];
    Choice choice;
    choice.index = recorded["index"].get<int32_t>();
    if (recorded.contains("delta")) {
      if (recorded["delta"].contains("role")) continue;
      choice.text = recorded["delta"]["content"].get<std::string>();
    } else {
      choice.text = recorded["text"].get<std::string>();
    }
    choice.token_ids = {0};
    if (recorded["finish_reason"].is_string())
      choice.finish_reason = recorded["finish_reason"].get<std::string>();
    if (recorded["logprobs"].is_object()) {
      const json& token = recorded["logprobs"]["content"][0];
      const auto entry = [&](const json& one) {
        return sampling::TokenLogprob{ids.at(one["token"].get<std::string>()),
                                      one["logprob"].get<float>(), 0};
      };
      choice.logprobs.push_back({entry(token)});
      for (const json& top : token["top_logprobs"]) choice.logprobs[0].push_back(entry(top));
    }
    out += stream.delta(choice);
  }
  return exchange.aborted ? out : out + stream.finish();
}

TEST(RecordedExchanges, EventStreamsAreWrittenByteForByte) {
  const RecordedContext server;
  int compared = 0;
  for (const test::Exchange& exchange : recorded_exchanges()) {
    const auto type = exchange.response_headers.find("content-type");
    if (type == exchange.response_headers.end() || type->second != kEventStreamContentType)
      continue;
    const ParsedGeneration parsed = parse(exchange, server.context());
    ASSERT_TRUE(std::holds_alternative<GenerationRequest>(parsed)) << exchange.name;
    const auto& request = std::get<GenerationRequest>(parsed);
    EXPECT_TRUE(request.stream);
    const std::string ours = restream(exchange, request, server.context());
    const std::string recorded =
        exchange.aborted ? exchange.response.substr(0, ours.size()) : exchange.response;
    EXPECT_EQ(ours, recorded) << exchange.name;
    ++compared;
  }
  EXPECT_EQ(compared, 17);
}

TEST(RecordedExchanges, TokenEndpointsAnswerByteForByte) {
  const RecordedContext server;
  int compared = 0;
  for (const test::Exchange& exchange : recorded_exchanges()) {
    const RequestHeaders headers = request_headers(exchange);
    if (exchange.path == "/tokenize") {
      const auto parsed = parse_tokenize(exchange.body, headers, server.context());
      ASSERT_TRUE(std::holds_alternative<TokenizeRequest>(parsed)) << exchange.name;
      EXPECT_EQ(tokenize_response(std::get<TokenizeRequest>(parsed), server.context()),
                exchange.response);
      ++compared;
    } else if (exchange.path == "/detokenize") {
      const auto parsed = parse_detokenize(exchange.body, headers, server.context());
      ASSERT_TRUE(std::holds_alternative<DetokenizeRequest>(parsed)) << exchange.name;
      EXPECT_EQ(detokenize_response(std::get<DetokenizeRequest>(parsed), server.context()),
                exchange.response);
      ++compared;
    }
  }
  EXPECT_EQ(compared, 3);
}

TEST(RecordedExchanges, SmallEndpointsAnswerAsRecorded) {
  const RecordedContext server;
  for (const test::Exchange& exchange : recorded_exchanges()) {
    if (exchange.path == "/version") {
      EXPECT_EQ(version_response("0.32.0"), exchange.response);
    } else if (exchange.path == "/load") {
      EXPECT_EQ(load_response(0), exchange.response);
    } else if (exchange.path == "/v1/nope") {
      EXPECT_EQ(detail_body(404), exchange.response);
    } else if (exchange.status == 405) {
      EXPECT_EQ(detail_body(405), exchange.response);
    } else if (exchange.path == "/v1/models") {
      json recorded = json::parse(exchange.response);  // permission ids are random there
      const auto time = recorded["data"][0]["created"].get<int64_t>();
      json ours = json::parse(models_response(server.context(), time));
      for (json* tree : {&recorded, &ours}) {
        for (json& card : (*tree)["data"])
          card["permission"][0]["id"] = "modelperm-0123456789abcdef";
      }
      EXPECT_EQ(ours, recorded);
    }
  }
}

}  // namespace
}  // namespace touchstone::server::api
