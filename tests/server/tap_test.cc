// The tap before a real engine: clients that know nothing of tracing, and a completeness proof.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "harness/process/capture.h"
#include "records/ledger.h"
#include "telemetry/otlp/json.h"
#include "tests/support/paths.h"
#include "tests/support/recording_receiver.h"
#include "tests/support/server_process.h"

namespace touchstone::testing {
namespace {

using nlohmann::json;

constexpr int64_t kHangNs = 60 * kNsPerSecond;

harness::SpawnOptions touchstone(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), support::touchstone_binary());
  return {.name = "touchstone", .argv = std::move(arguments)};
}

TEST(ServeTap, ItsLedgerProvesThatEveryRequestOfItsClientsLeftASpan) {
  const auto receiver = RecordingReceiver::start();
  ASSERT_TRUE(receiver) << receiver.error().message;
  ServerProcess server(
      {.model = support::source_dir() + "/fixtures/models/touchstone-tiny",
       .flags = {"--served-model-name", "tiny", "--otlp-traces-endpoint", (*receiver)->endpoint()},
       .environment = {}});
  ASSERT_TRUE(server.ready()) << server.problem();
  const std::string ledger = server.path("tapped.jsonl");

  const RealClock clock;
  const harness::Supervision supervision{clock};
  auto command =
      touchstone({"tap", "--listen", "127.0.0.1:0", "--upstream",
                  "http://127.0.0.1:" + std::to_string(server.port()), "--ledger", ledger});
  command.log_path = server.path("tap.log");
  auto tap = harness::ChildProcess::spawn(std::move(command), supervision);
  ASSERT_TRUE(tap) << tap.error().message;
  const std::string ready = "ready: port ";
  std::string log;
  ASSERT_TRUE((*tap)->wait_until(
      [&] {
        if (auto read = read_file(server.path("tap.log"))) log = std::move(*read);
        return log.find(ready) != std::string::npos;
      },
      "the tap", kHangNs));
  const auto port = static_cast<uint16_t>(std::stoi(log.substr(log.find(ready) + ready.size())));

  for (int i = 0; i < 6; ++i) {
    const json body = {{"model", "tiny"},
                       {"prompt", "To be"},
                       {"max_tokens", 4 + i},
                       {"n", 1 + i % 2},
                       {"stream", i % 3 == 0}};
    EXPECT_EQ(HttpClient(port).post("/v1/completions", body.dump()).status, 200);
  }
  EXPECT_EQ(HttpClient(port).post("/v1/completions", R"({"model":"none","prompt":"x"})").status,
            404);
  {
    HttpClient impatient(port);
    ASSERT_TRUE(impatient.send(request_text(
        "POST", "/v1/completions",
        R"({"model":"tiny","prompt":"x","max_tokens":1500,"ignore_eos":true,"stream":true})",
        {{"content-type", "application/json"}})));
    EXPECT_EQ(impatient.read_first_chunks(2).status, 200);
  }
  EXPECT_EQ((*tap)->stop(kHangNs).status.code, 0);
  EXPECT_EQ(server.stop(), 0);

  const auto entries = records::read_ledger(ledger);
  ASSERT_TRUE(entries) << entries.error().message;
  ASSERT_EQ(entries->size(), 8u);
  EXPECT_EQ(entries->back().outcome, records::ClientOutcome::kHungUp);
  const std::string spans = server.path("spans.jsonl");
  ASSERT_TRUE(
      write_file_atomic(spans, telemetry::encode_otlp_json((*receiver)->received()) + "\n"));
  const auto audit = [&](const std::string& with) {
    auto run = harness::run_and_capture(
        touchstone({"audit", "--file", spans, "--ledger", with, "--format", "json"}), supervision,
        kHangNs);
    EXPECT_TRUE(run) << run.error().message;
    return *run;
  };
  const auto whole = audit(ledger);
  EXPECT_EQ(whole.status.code, 0) << whole.output;
  const json checks = json::parse(whole.output).at("checks");
  const auto complete = std::find_if(checks.begin(), checks.end(), [](const json& check) {
    return check.at("group") == "completeness" && check.at("verdict") == "pass";
  });
  EXPECT_NE(complete, checks.end()) << "completeness was judged";

  // A line for a request that no server saw: its span is missing.
  auto invented = entries->front();
  invented.index = 8;
  invented.trace_id.bytes[0] ^= 1;
  ASSERT_TRUE(write_file_atomic(server.path("more.jsonl"),
                                *read_file(ledger) + records::to_json_line(invented) + "\n"));
  EXPECT_EQ(audit(server.path("more.jsonl")).status.code, 1);
}

}  // namespace
}  // namespace touchstone::testing
