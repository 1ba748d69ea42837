// Parses bodies against the recorded model, for tests of the API's rules.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "reference_engine/server/api/generation_request.h"
#include "tests/api/recorded_context.h"

namespace touchstone::server::api {

using nlohmann::json;

inline RequestHeaders json_headers() {
  RequestHeaders headers;
  headers.content_type = "Application/JSON; charset=utf-8";
  return headers;
}

class Parsing : public ::testing::Test {
 protected:
  GenerationRequest accept(const ParsedGeneration& parsed) {
    const auto* error = std::get_if<ApiError>(&parsed);
    EXPECT_EQ(error, nullptr) << error->message;
    return error == nullptr ? std::get<GenerationRequest>(parsed) : GenerationRequest{};
  }
  GenerationRequest completion(json body) {
    if (!body.contains("prompt")) body["prompt"] = "Speak, speak";
    return accept(parse_completion(body.dump(), json_headers(), context_));
  }
  GenerationRequest chat(json body) {
    if (!body.contains("messages")) body["messages"] = {{{"role", "user"}, {"content", "Hi"}}};
    return accept(parse_chat(body.dump(), json_headers(), context_));
  }
  ApiError refuse(const ParsedGeneration& parsed) {
    const auto* error = std::get_if<ApiError>(&parsed);
    return error == nullptr ? ApiError{200, "accepted", "", std::nullopt} : *error;
  }
  ApiError refuse_completion(json body) {
    if (!body.contains("prompt")) body["prompt"] = "Speak";
    return refuse(parse_completion(body.dump(), json_headers(), context_));
  }
  ApiError refuse_chat(json body) {
    if (!body.contains("messages")) body["messages"] = {{{"role", "user"}, {"content", "Hi"}}};
    return refuse(parse_chat(body.dump(), json_headers(), context_));
  }

  RecordedContext server_;
  ApiContext context_ = server_.context();
};

}  // namespace touchstone::server::api
