// Every exchange that was recorded from vLLM 0.32.0, sent to the real binary with the recording's
// flags: status, headers, JSON keys and types, framing and errors must be the recorded ones, but
// for those that known_differences.json names.
#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/files.h"
#include "tests/support/exchange_compare.h"
#include "tests/support/server_process.h"

namespace touchstone::testing {
namespace {

const std::string kHere = std::string(TOUCHSTONE_SOURCE_DIR) + "/tests/server/";
const std::string kRecording =
    std::string(TOUCHSTONE_SOURCE_DIR) + "/fixtures/captures/vllm-0.32.0/exchanges.jsonl";

/// Names and reasons.
std::map<std::string, std::string> known_differences() {
  const Result<std::string> text = read_file(kHere + "known_differences.json");
  return nlohmann::json::parse(*text).get<std::map<std::string, std::string>>();
}

ServerProcessOptions recorded_options() {
  return {.model = capture_model(),
          .flags = {"--served-model-name", "tiny", "tiny-alias", "--num-gpu-blocks-override", "28",
                    "--block-size", "32", "--max-num-seqs", "8", "--max-num-batched-tokens", "512",
                    "--max-model-len", "512", "--enable-prompt-tokens-details",
                    "--enable-request-id-headers", "--seed", "0"},
          .environment = {}};
}

std::string request_of(const test::Exchange& exchange) {
  std::vector<std::pair<std::string, std::string>> headers(exchange.headers.begin(),
                                                           exchange.headers.end());
  return request_text(exchange.method, exchange.path, exchange.body, headers);
}

/// The recorded headers that the answer lacks.
std::vector<std::string> missing_headers(const test::Exchange& recorded, const HttpAnswer& answer) {
  std::vector<std::string> missing;
  for (const auto& [name, value] : recorded.response_headers) {
    if (!answer.has_header(name)) missing.push_back("header " + name + " is missing");
    if (name == "allow" && answer.header(name) != value) {
      missing.push_back("header allow: got " + answer.header(name) + ", recorded " + value);
    }
  }
  return missing;
}

class Replay {
 public:
  explicit Replay(const ServerProcess& server) : server_(server) {}

  /// Sends without waiting for the answer; the recorded "pressure" requests ran together.
  void send(const test::Exchange& exchange) {
    HttpClient& client = clients_.emplace_back(server_.port());
    ASSERT_TRUE(client.send(request_of(exchange))) << exchange.name;
    waiting_.push_back(&exchange);
  }

  void receive_all() {
    for (size_t i = 0; i < waiting_.size(); ++i) receive(*waiting_[i], clients_[i]);
    waiting_.clear();
    clients_.clear();
  }

  std::map<std::string, std::vector<std::string>> differences;  // by name

 private:
  void receive(const test::Exchange& exchange, HttpClient& client) {
    const HttpAnswer answer = exchange.aborted
                                  ? client.read_first_chunks(
                                        test::stream_events(exchange.response).size())
                                  : client.read_answer();
    std::vector<std::string> found;
    if (!answer.problem.empty()) found.push_back(answer.problem);
    for (auto& text : missing_headers(exchange, answer)) found.push_back(std::move(text));
    for (auto& text : test::compare_exchange(exchange, {.status = answer.status,
                                                        .content_type = answer.header("content-type"),
                                                        .body = answer.body})) {
      found.push_back(std::move(text));
    }
    if (!found.empty()) differences[exchange.name] = std::move(found);
  }

  const ServerProcess& server_;
  std::deque<HttpClient> clients_;
  std::vector<const test::Exchange*> waiting_;
};

TEST(Exchanges, AreAsRecordedFromVllmButForTheKnownDifferences) {
  const auto exchanges = test::load_exchanges(kRecording);
  ASSERT_TRUE(exchanges) << exchanges.error().message;
  ASSERT_EQ(exchanges->size(), 121u);
  ServerProcess server(recorded_options());
  ASSERT_TRUE(server.ready()) << server.problem();
  Replay replay(server);
  for (const test::Exchange& exchange : *exchanges) {
    const bool together = exchange.name.starts_with("pressure");
    if (!together) replay.receive_all();
    replay.send(exchange);
    if (!together) replay.receive_all();
  }
  replay.receive_all();

  std::map<std::string, std::string> known = known_differences();
  for (const auto& [name, found] : replay.differences) {
    std::string text;
    for (const std::string& line : found) text += "\n    " + line;
    EXPECT_TRUE(known.contains(name)) << name << ":" << text;
  }
  for (const auto& [name, reason] : known) {
    EXPECT_TRUE(replay.differences.contains(name))
        << name << " is listed (" << reason << ") but is as recorded: take it off the list";
  }
  EXPECT_LE(replay.differences.size(), 31u);  // at least 90 of 121
  RecordProperty("matching", static_cast<int>(exchanges->size() - replay.differences.size()));
  EXPECT_EQ(server.stop(), 0) << server.log();
}

}  // namespace
}  // namespace touchstone::testing
