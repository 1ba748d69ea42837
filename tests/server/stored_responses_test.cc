// /v1/responses with and without VLLM_ENABLE_RESPONSES_API_STORE, over the real server.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/server_process.h"

namespace touchstone::testing {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

class StoredResponses : public ::testing::Test {
 protected:
  explicit StoredResponses(
      std::map<std::string, std::string> environment = {{"VLLM_ENABLE_RESPONSES_API_STORE", "1"}})
      : server_({.model = capture_model(),
                 .flags = {"--num-gpu-blocks-override", "300", "--max-model-len", "2048"},
                 .environment = std::move(environment)}) {}
  void SetUp() override { ASSERT_TRUE(server_.ready()) << server_.problem(); }

  HttpAnswer post(json body) {
    if (!body.contains("input")) body["input"] = "To be, or not to be";
    if (!body.contains("max_output_tokens")) body["max_output_tokens"] = 8;
    return server_.connect().post("/v1/responses", body.dump());
  }
  json created(json body) {
    const HttpAnswer answer = post(std::move(body));
    EXPECT_EQ(answer.status, 200) << answer.body;
    return json::parse(answer.body);
  }
  HttpAnswer get(const std::string& rest) {
    return server_.connect().exchange("GET", "/v1/responses/" + rest);
  }
  HttpAnswer cancel(const json& response) {
    return server_.connect().post("/v1/responses/" + response["id"].get<std::string>() + "/cancel",
                                  "");
  }
  json kept(const json& response) { return json::parse(get(response["id"]).body); }
  json ended(const json& response) {
    json now = kept(response);
    while (now["status"] == "queued") now = kept(response);
    return now;
  }

  ServerProcess server_;
};

TEST_F(StoredResponses, AreRetrievedAndGoneOnFrom) {
  const json first = created({{"instructions", "Be brief."}});
  EXPECT_EQ(kept(first), first);
  const json second = created({{"previous_response_id", first["id"]}, {"input", "And then?"}});
  EXPECT_EQ(second["previous_response_id"], first["id"]);
  EXPECT_GT(second["usage"]["input_tokens"], first["usage"]["input_tokens"]);
  const HttpAnswer streamed = post({{"stream", true}, {"previous_response_id", second["id"]}});
  const size_t at = streamed.body.rfind("\ndata: ");
  const json last = json::parse(streamed.body.substr(at + 7))["response"];
  EXPECT_EQ(kept(last), last) << "of a stream, what its last event says";
  const json unkept = created({{"store", false}});
  EXPECT_EQ(get(unkept["id"]).status, 404);
  EXPECT_EQ(cancel(first).status, 400);
  EXPECT_EQ(post({{"previous_response_id", "resp_none"}}).status, 404);
  EXPECT_EQ(get("resp_none").status, 404);
}

TEST_F(StoredResponses, AreMadeInTheBackground) {
  const json queued = created({{"background", true}});
  EXPECT_EQ(queued["status"], "queued");
  EXPECT_EQ(queued["background"], true);
  const json whole = ended(queued);
  EXPECT_THAT(whole["status"].get<std::string>(), ::testing::AnyOf("completed", "incomplete"));
  EXPECT_EQ(whole["usage"]["output_tokens"], 8);
  const HttpAnswer live = post({{"background", true}, {"stream", true}});
  EXPECT_THAT(live.body, HasSubstr("event: response.completed"));
  const size_t id = live.body.find("\"id\":\"resp_") + 6;
  const HttpAnswer again =
      get(live.body.substr(id, live.body.find('"', id) - id) + "?stream=true&starting_after=1");
  EXPECT_EQ(again.body, live.body.substr(live.body.find("event: response.output_item.added")));
  EXPECT_EQ(post({{"background", true}, {"store", false}}).status, 400);
}

TEST_F(StoredResponses, InTheBackgroundAreCancelledAndFreeTheirBlocks) {
  const json queued =
      created({{"background", true}, {"max_output_tokens", 2000}, {"ignore_eos", true}});
  ASSERT_TRUE(server_.wait_for_metric("vllm:num_requests_running", 1));
  const HttpAnswer cancelled = cancel(queued);
  EXPECT_EQ(json::parse(cancelled.body)["status"], "cancelled") << cancelled.body;
  EXPECT_TRUE(server_.wait_for_metric("vllm:num_requests_running", 0));
  EXPECT_EQ(kept(queued)["status"], "cancelled");
}

TEST_F(StoredResponses, ThatAreBeingMadeDoNotHoldUpTheEnd) {
  created({{"background", true}, {"max_output_tokens", 2000}, {"ignore_eos", true}});
  EXPECT_EQ(server_.stop(), 0) << server_.log();
}

class NoStoredResponses : public StoredResponses {
 protected:
  NoStoredResponses() : StoredResponses(std::map<std::string, std::string>{}) {}
};

TEST_F(NoStoredResponses, AreFoundAndBackgroundNeedsThem) {
  const json answer = created({{"store", true}});
  EXPECT_EQ(get(answer["id"]).status, 404);
  const HttpAnswer refused = post({{"background", true}});
  EXPECT_EQ(refused.status, 400);
  EXPECT_THAT(refused.body, HasSubstr("VLLM_ENABLE_RESPONSES_API_STORE=1"));
}

}  // namespace
}  // namespace touchstone::testing
