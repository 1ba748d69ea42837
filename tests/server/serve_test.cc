// `touchstone serve` from start to end: what it says, what it writes, how it stops.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <nlohmann/json.hpp>

#include "records/request_record.h"
#include "records/step_log.h"
#include "tests/support/server_process.h"

namespace touchstone::testing {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

ServerProcessOptions options(std::vector<std::string> flags = {}) {
  ServerProcessOptions made{.model = capture_model(), .flags = std::move(flags), .environment = {}};
  made.flags.insert(made.flags.end(), {"--served-model-name", "tiny"});
  return made;
}

json completion(const HttpAnswer& answer) {
  EXPECT_EQ(answer.status, 200) << answer.body;
  return json::parse(answer.body, nullptr, false);
}

std::string text_of(const HttpAnswer& answer) {
  return completion(answer)["choices"][0]["text"].get<std::string>();
}

/// The joined text of a streamed answer's choice.
std::string streamed_text(const HttpAnswer& answer, int choice = 0) {
  std::string text;
  for (const std::string& event : event_data(answer.body)) {
    if (event == "[DONE]") continue;
    const json chunk = json::parse(event);
    for (const json& one : chunk["choices"]) {
      if (one["index"] == choice) text += one["text"].get<std::string>();
    }
  }
  return text;
}

std::string request_json(const std::string& prompt, const json& fields) {
  json body = {{"model", "tiny"}, {"prompt", prompt}, {"temperature", 0}, {"ignore_eos", true}};
  body.update(fields);
  return body.dump();
}

TEST(Serve, SaysWhatItServesAndWritesEverythingBeforeItEnds) {
  ServerProcess server(options({"--step-log", "@steps.jsonl", "--request-log", "@requests.jsonl"}));
  ASSERT_TRUE(server.ready()) << server.problem();
  for (int i = 0; i < 3; ++i) {
    completion(server.connect().post("/v1/completions",
                                     request_json("To be", {{"max_tokens", 5}, {"n", 1}})));
  }
  EXPECT_EQ(server.stop(), 0);
  const std::string log = server.log();
  for (const std::string& part :
       {std::string("LlamaForCausalLM"), std::string("kernels"), std::string("KV cache"),
        "ready: listening on http://127.0.0.1:" + std::to_string(server.port())}) {
    EXPECT_THAT(log, HasSubstr(part));
  }
  const auto steps = records::read_step_log(server.path("steps.jsonl"));
  ASSERT_TRUE(steps) << steps.error().message;
  EXPECT_EQ(steps->steps.size(), 15u);
  EXPECT_EQ(std::get<int64_t>(steps->header.config.at("block_size")), 16);
  const auto records = records::read_request_records(server.path("requests.jsonl"));
  ASSERT_TRUE(records) << records.error().message;
  ASSERT_EQ(records->size(), 3u);
  for (const auto& record : *records) EXPECT_EQ(record.completion_tokens, 5);
}

TEST(Serve, WithStepsPlannedAheadTheTextsAreTheSame) {
  std::vector<std::string> texts;
  for (const std::string flag : {"--no-async-scheduling", "--async-scheduling"}) {
    ServerProcess server(options({flag, "--step-log", "@steps.jsonl"}));
    ASSERT_TRUE(server.ready()) << server.problem();
    const bool ahead = flag == "--async-scheduling";
    EXPECT_EQ(server.log().find("planned one step ahead") != std::string::npos, ahead);
    texts.push_back(text_of(
        server.connect().post("/v1/completions", request_json("To be", {{"max_tokens", 20}}))));
    EXPECT_TRUE(server.wait_for_metric("vllm:generation_tokens_total", 20));
    EXPECT_EQ(server.stop(), 0);
    const auto steps = records::read_step_log(server.path("steps.jsonl"));
    ASSERT_TRUE(steps) << steps.error().message;
    EXPECT_EQ(std::get<bool>(steps->header.config.at("async_scheduling")), ahead);
    EXPECT_EQ(steps->steps.size(), 20u);
    for (const auto& step : steps->steps) {
      EXPECT_EQ(step.planned_ns < step.start_ns, ahead && step.step > 0) << step.step;
    }
  }
  EXPECT_EQ(texts[0], texts[1]);
}

TEST(Serve, TextsDependNeitherOnLoadNorOnPreemptionNorOnStreaming) {
  std::vector<std::string> bodies;
  for (int i = 0; i < 8; ++i) {
    std::string prompt = "To be, or not to be, that is the question: ";
    for (int k = 0; k < i; ++k) prompt += "and again " + std::to_string(k) + ", ";
    json fields = {{"max_tokens", 60}};
    if (i % 2 == 1) fields.update({{"temperature", 0.8}, {"seed", i}});
    bodies.push_back(request_json(prompt, fields));
  }
  std::vector<std::string> alone;
  {
    ServerProcess roomy(options({"--max-model-len", "512"}));
    ASSERT_TRUE(roomy.ready()) << roomy.problem();
    for (const std::string& body : bodies) {
      alone.push_back(text_of(roomy.connect().post("/v1/completions", body)));
    }
    EXPECT_EQ(roomy.metric("vllm:num_preemptions_total"), 0);
  }
  ServerProcess tight(
      options({"--max-model-len", "256", "--block-size", "16", "--num-gpu-blocks-override", "18",
               "--max-num-batched-tokens", "24", "--max-num-seqs", "6"}));
  ASSERT_TRUE(tight.ready()) << tight.problem();
  std::vector<HttpClient> clients;
  for (size_t i = 0; i < bodies.size(); ++i) {
    json body = json::parse(bodies[i]);
    if (i % 3 == 0) body["stream"] = true;
    clients.push_back(tight.connect());
    ASSERT_TRUE(clients.back().send(request_text("POST", "/v1/completions", body.dump(),
                                                 {{"content-type", "application/json"}})));
  }
  for (size_t i = 0; i < bodies.size(); ++i) {
    const HttpAnswer answer = clients[i].read_answer();
    EXPECT_EQ(i % 3 == 0 ? streamed_text(answer) : text_of(answer), alone[i]) << bodies[i];
  }
  EXPECT_GT(tight.metric("vllm:num_preemptions_total"), 0);
}

TEST(Serve, StreamsSayWhatFullAnswersSay) {
  ServerProcess server(options());
  ASSERT_TRUE(server.ready()) << server.problem();
  json fields = {{"max_tokens", 30}, {"n", 2}, {"temperature", 0.9}, {"seed", 3}};
  const json full =
      completion(server.connect().post("/v1/completions", request_json("Speak, ", fields)));
  fields["stream"] = true;
  const HttpAnswer streamed =
      server.connect().post("/v1/completions", request_json("Speak, ", fields));
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(streamed_text(streamed, i), full["choices"][i]["text"].get<std::string>());
  }
  const std::string stop = full["choices"][0]["text"].get<std::string>().substr(10, 4);
  fields["stop"] = stop;
  fields["n"] = 1;
  const std::string cut =
      streamed_text(server.connect().post("/v1/completions", request_json("Speak, ", fields)));
  const std::string whole = full["choices"][0]["text"].get<std::string>();
  EXPECT_EQ(cut, whole.substr(0, whole.find(stop)));
}

TEST(Serve, SigtermLetsRunningRequestsEndAndTakesNoMore) {
  ServerProcess server(options({"--max-model-len", "1024"}));
  ASSERT_TRUE(server.ready()) << server.problem();
  HttpClient streamed = server.connect();
  HttpClient full = server.connect();
  HttpClient idle = server.connect();
  ASSERT_EQ(idle.exchange("GET", "/health").status, 200);
  const json fields = {{"max_tokens", 1000}};
  json streaming = fields;
  streaming["stream"] = true;
  ASSERT_TRUE(full.send(request_text("POST", "/v1/completions", request_json("To be", fields),
                                     {{"content-type", "application/json"}})));
  ASSERT_TRUE(
      streamed.send(request_text("POST", "/v1/completions", request_json("To be", streaming),
                                 {{"content-type", "application/json"}})));
  ASSERT_THAT(streamed.read_until("data: "), HasSubstr("200 OK"));
  ASSERT_TRUE(server.wait_for_metric("vllm:num_requests_running", 2));
  server.signal(SIGTERM);
  EXPECT_TRUE(idle.at_end());
  const HttpAnswer stream_answer = streamed.read_answer();
  EXPECT_EQ(event_data(stream_answer.body).back(), "[DONE]") << stream_answer.problem;
  const json answer = completion(full.read_answer());
  EXPECT_EQ(answer["usage"]["completion_tokens"], 1000);
  EXPECT_EQ(server.wait_for_exit(), 0) << server.log();
  EXPECT_FALSE(server.connect().connected());
}

TEST(Serve, WhatStillRunsAfterTheShutdownTimeoutEndsWithAbort) {
  ServerProcess server(options({"--shutdown-timeout", "0", "--max-model-len", "1024"}));
  ASSERT_TRUE(server.ready()) << server.problem();
  HttpClient client = server.connect();
  ASSERT_TRUE(client.send(request_text(
      "POST", "/v1/completions", request_json("To be", {{"max_tokens", 1000}, {"stream", true}}),
      {{"content-type", "application/json"}})));
  client.read_until("data: ");
  server.signal(SIGINT);
  const std::vector<std::string> events = event_data(client.read_answer().body);
  ASSERT_GE(events.size(), 2u);
  EXPECT_EQ(json::parse(events[events.size() - 2])["choices"][0]["finish_reason"], "abort");
  EXPECT_EQ(server.wait_for_exit(), 0) << server.log();
}

TEST(Serve, AHalfSentRequestDoesNotDelayTheEnd) {
  ServerProcess server(options());
  ASSERT_TRUE(server.ready()) << server.problem();
  HttpClient half = server.connect();
  ASSERT_TRUE(half.send("POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n\r\n{"));
  HttpClient other = server.connect();
  ASSERT_EQ(other.exchange("GET", "/health").status, 200);
  server.signal(SIGTERM);
  EXPECT_TRUE(half.at_end());
  EXPECT_EQ(server.wait_for_exit(10), 0) << server.log();
}

TEST(Serve, ASecondSignalEndsTheWaitForReadersToo) {
  ServerProcess server(options({"--max-model-len", "2048", "--http-write-timeout", "600s"}));
  ASSERT_TRUE(server.ready()) << server.problem();
  HttpClient reader = server.connect();
  reader.set_small_receive_buffer();
  json fields = {{"max_tokens", 2000}, {"stream", true}, {"logprobs", 20}};
  ASSERT_TRUE(reader.send(request_text("POST", "/v1/completions", request_json("To be", fields),
                                       {{"content-type", "application/json"}})));
  ASSERT_TRUE(server.wait_for_metric("vllm:num_requests_running", 1));
  ASSERT_TRUE(server.wait_for_metric("vllm:num_requests_running", 0));
  server.signal(SIGTERM);
  ASSERT_TRUE(server.wait_for_log("signal received"));
  server.signal(SIGTERM);
  EXPECT_EQ(server.wait_for_exit(10), 0) << server.log();
}

TEST(Serve, ReadersThatDoNotReadAreClosedAtTheShutdownTimeout) {
  ServerProcess server(options(
      {"--max-model-len", "2048", "--http-write-timeout", "600s", "--shutdown-timeout", "0.5"}));
  ASSERT_TRUE(server.ready()) << server.problem();
  std::vector<HttpClient> readers;
  for (int i = 0; i < 8; ++i) {
    readers.push_back(server.connect());
    readers.back().set_small_receive_buffer();
    json fields = {{"max_tokens", 2000}, {"stream", true}, {"logprobs", 20}};
    ASSERT_TRUE(
        readers.back().send(request_text("POST", "/v1/completions", request_json("To be", fields),
                                         {{"content-type", "application/json"}})));
  }
  ASSERT_TRUE(server.wait_for_metric("vllm:num_requests_running", 8));
  server.signal(SIGTERM);
  EXPECT_EQ(server.wait_for_exit(10), 0) << server.log();
}

TEST(Serve, ALogThatNobodyReadsDoesNotKeepTheServerFromEnding) {
  ServerProcessOptions made = options();
  made.log_is_read = false;
  ServerProcess server(made);
  ASSERT_TRUE(server.ready()) << server.problem();
  HttpClient client = server.connect();
  std::string requests;
  for (int i = 0; i < 100; ++i) requests += request_text("GET", "/health", "");
  for (int sent = 0; sent < 3000; sent += 100) {  // their lines are several times what a pipe takes
    ASSERT_TRUE(client.send(requests));
    for (int i = 0; i < 100; ++i) ASSERT_EQ(client.read_answer().status, 200);
  }
  server.signal(SIGTERM);
  EXPECT_EQ(server.wait_for_exit(10), 0);
}

TEST(Serve, ADeadCollectorIsToldWithinSecondsWithDefaultSettings) {
  ServerProcess server(options({"--otlp-traces-endpoint", "http://127.0.0.1:9"}));
  ASSERT_TRUE(server.ready()) << server.problem();
  completion(server.connect().post("/v1/completions", request_json("To be", {{"max_tokens", 2}})));
  EXPECT_TRUE(server.wait_for_log("WARNING:  an export of spans failed, 1 wait: ", 15))
      << server.log();
}

TEST(Serve, ADeadCollectorIsToldWhileTheServerServes) {
  ServerProcessOptions made = options({"--otlp-traces-endpoint", "http://127.0.0.1:9"});
  made.environment = {{"OTEL_BSP_SCHEDULE_DELAY", "100"},
                      {"OTEL_BSP_EXPORT_TIMEOUT", "300"},
                      {"OTEL_EXPORTER_OTLP_TIMEOUT", "200"}};
  ServerProcess server(made);
  ASSERT_TRUE(server.ready()) << server.problem();
  completion(server.connect().post("/v1/completions", request_json("To be", {{"max_tokens", 2}})));
  EXPECT_TRUE(server.wait_for_log("WARNING:  1 spans lost so far")) << server.log();
}

/// Six requests to a server where one runs; how many got a 503, and which reason was counted.
void expect_overload(const std::string& flag, const std::string& limit, const std::string& reason,
                     const std::string& other) {
  ServerProcess server(options({"--max-num-seqs", "1", flag, limit}));
  ASSERT_TRUE(server.ready()) << server.problem();
  std::vector<HttpClient> clients;
  int overloaded = 0;
  for (int i = 0; i < 6; ++i) {
    clients.push_back(server.connect());
    ASSERT_TRUE(clients.back().send(request_text("POST", "/v1/completions",
                                                 request_json("To be", {{"max_tokens", 100}}),
                                                 {{"content-type", "application/json"}})));
  }
  for (HttpClient& client : clients) overloaded += client.read_answer().status == 503 ? 1 : 0;
  EXPECT_GE(overloaded, 1);
  EXPECT_LE(overloaded, 5);
  const char* const name = "vllm:admission_rejections_total";
  EXPECT_EQ(server.metric(name, {{"reason", reason}}), overloaded);
  EXPECT_EQ(server.metric(name, {{"reason", other}}), 0);
}

TEST(Serve, TooManyWaitingRequestsGetA503) {
  expect_overload("--max-num-queued-reqs", "1", "max_num_queued_reqs", "max_num_queued_tokens");
}

TEST(Serve, TooManyWaitingTokensGetA503AndAreCountedAsSuch) {
  expect_overload("--max-num-queued-tokens", "6", "max_num_queued_tokens", "max_num_queued_reqs");
}

TEST(Serve, CountsWhatItRefusesInTheAuditDialectAlone) {
  ServerProcess server(options({"--span-dialect", "vllm,audit", "--api-key", "secret"}));
  ASSERT_TRUE(server.ready()) << server.problem();
  const auto post = [&](const std::string& body, const std::string& key) {
    HttpClient client = server.connect();
    EXPECT_TRUE(client.send(
        request_text("POST", "/v1/completions", body,
                     {{"content-type", "application/json"}, {"authorization", "Bearer " + key}})));
    return client.read_answer().status;
  };
  EXPECT_EQ(post(request_json("To be", {{"max_tokens", 4}}), "secret"), 200);
  EXPECT_EQ(post(request_json("To be", {{"temperature", -1}}), "secret"), 400);
  EXPECT_EQ(post(request_json("To be", {{"model", "none"}}), "secret"), 404);
  EXPECT_EQ(post(request_json("To be", {{"max_tokens", 4}}), "wrong"), 401);
  const auto refused = [&](const std::string& model) {
    return server.metric("touchstone_audit_requests_total",
                         {{"model_name", model}, {"outcome", "refused"}});
  };
  EXPECT_EQ(refused("tiny"), 2) << "its body is not read when the key is wrong";
  EXPECT_EQ(refused("other"), 1);
  EXPECT_EQ(server.metric("vllm:e2e_request_latency_seconds_count"), 1);
}

TEST(Serve, ALogThatCannotBeWrittenDoesNotEndInGood) {
  const TemporaryDirectory disk = full_disk("requests");
  ServerProcess server(options({"--request-log", disk.path() + "/requests"}));
  ASSERT_TRUE(server.ready()) << server.problem();
  for (int i = 0; i < 20; ++i) {
    completion(
        server.connect().post("/v1/completions", request_json("To be", {{"max_tokens", 2}})));
  }
  EXPECT_EQ(server.stop(), 3);
  const std::string lost =
      "touchstone: --request-log: " + disk.path() + "/requests: cannot write: No space left";
  EXPECT_THAT(server.log(), HasSubstr(lost));
  EXPECT_THAT(server.log(), HasSubstr("hint: free some space"));
}

}  // namespace
}  // namespace touchstone::testing
