// `touchstone check` from the outside, with the real engine and the real Collector.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "base/sha256.h"
#include "base/text.h"
#include "conformance/judge.h"
#include "harness/process/child.h"
#include "harness/process/ports.h"
#include "records/ledger.h"
#include "records/run_folder.h"
#include "records/server_description.h"
#include "tests/end_to_end/stack.h"
#include "tests/support/paths.h"

namespace touchstone::end_to_end {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

TEST_F(Check, TheQuickstartPasses) {
  const Ran ran = check("");
  EXPECT_EQ(ran.code, 0) << ran.output << ran.errors;
  const auto read = report();
  EXPECT_EQ(read.at("verdict"), "pass");
  EXPECT_EQ(read.at("samples").size(), 2u) << "two completions are shown";
  bool parity = false;
  for (const auto& one : read.at("checks")) {
    parity =
        parity || (one.at("id") == "simulation.schedule_parity" && one.at("verdict") == "pass");
  }
  const auto passed = std::count_if(read.at("checks").begin(), read.at("checks").end(),
                                    [](const auto& one) { return one.at("verdict") == "pass"; });
  EXPECT_EQ(read.at("summary").get<std::string>().find("64 spans: " + std::to_string(passed) +
                                                       " checks passed, 0 failed, 0 undecided"),
            0u)
      << read.at("summary") << ": the simulation's check counts too";
  EXPECT_TRUE(parity) << "the simulated schedule is that of the engine, step for step";
  EXPECT_TRUE(fs::exists(path("report/report.html")));
  EXPECT_TRUE(fs::exists(path("report/junit.xml")));
  const auto evidence = this->evidence();
  ASSERT_TRUE(evidence);
  EXPECT_EQ(evidence->ledger->size(), 64u);
  EXPECT_TRUE(evidence->span_problems.empty());
  EXPECT_LE(std::count(ran.output.begin(), ran.output.end(), '\n'), 57) << "one screen";
  const auto html = read_file(path("report/report.html"));
  ASSERT_TRUE(html);
  for (const auto& [name, file] :
       {std::pair<std::string, std::string>{"collector", collector_binary()},
        {"touchstone", support::touchstone_binary()},
        {"profile vllm-v1.yaml", support::source_dir() + "/conformance/profiles/vllm-v1.yaml"}}) {
    const auto digest = file_sha256_hex(file);
    ASSERT_TRUE(digest) << digest.error().message;
    EXPECT_EQ(read.at("provenance").at("digests").value(name, ""), *digest);
    EXPECT_THAT(*html, HasSubstr(*digest));
    EXPECT_THAT(ran.output, HasSubstr(name + " " + digest->substr(0, 12)));
  }
}

TEST_F(Check, ADemandThatIsNotMetFailsAndNamesTheSpans) {
  const auto shipped = read_file(support::source_dir() + "/conformance/profiles/vllm-v1.yaml");
  ASSERT_TRUE(shipped);
  const std::string profile = write(
      "own.yaml", replaced(*shipped, "    attributes:\n",
                           "    attributes:\n      - {key: gen_ai.model.id, type: string}\n"));
  const Ran ran = check(small_suite(), {"--profile", profile});
  EXPECT_EQ(ran.code, 1) << ran.output << ran.errors;
  EXPECT_THAT(ran.output, HasSubstr("gen_ai.model.id"));
  const auto found = findings("");
  ASSERT_FALSE(found.empty());
  int64_t spans = 0;
  for (const auto& finding : found) {
    EXPECT_THAT(finding.dump(), HasSubstr("gen_ai.model.id"));
    EXPECT_THAT(finding.at("subject").get<std::string>(), HasSubstr("llm_request"));
    spans += finding.value("count", int64_t{1});
  }
  EXPECT_EQ(spans, 10) << "every span lacks it";
}

TEST_F(Check, ACollectorKilledInTheMiddleIsAnExactLoss) {
  const Ran ran = check(small_suite(30, 4), {"--fault", "kill-collector@2s"});
  EXPECT_EQ(ran.code, 1) << ran.output << ran.errors;
  EXPECT_THAT(report().at("notes").dump(), HasSubstr("the Collector ended with signal 9"));
  const auto evidence = this->evidence();
  ASSERT_TRUE(evidence);
  const int64_t arrived = conformance::span_count(*evidence);
  EXPECT_GT(arrived, 0) << "some came before the kill";
  EXPECT_LT(arrived, 30);
  const auto lost = findings("completeness.");
  ASSERT_FALSE(lost.empty()) << ran.output;
  int64_t missing = 0;
  for (const auto& finding : lost) missing += finding.value("count", int64_t{1});
  EXPECT_EQ(missing, 30 - arrived) << ran.output;
  EXPECT_THAT(ran.output, HasSubstr(std::to_string(30 - arrived)));
}

TEST_F(Check, TwoServersBehindOneCollectorAreOneRun) {
  const Ran ran = check(write("suite.yaml", two_subjects_text()));
  EXPECT_EQ(ran.code, 0) << ran.output << ran.errors;
  const auto read = this->evidence();
  ASSERT_TRUE(read);
  EXPECT_EQ(conformance::span_count(*read), 14);
  std::map<std::string, int> sent;
  for (const auto& entry : *read->ledger) ++sent[entry.subject];
  EXPECT_EQ(sent, (std::map<std::string, int>{{"canary", 6}, {"stable", 8}}));
  for (const char* file : {"metrics.stable.txt", "metrics.canary.txt", "server.stable.json"}) {
    EXPECT_TRUE(fs::exists(path(std::string("report/run/") + file))) << file;
  }
}

TEST_F(Check, AFaultOnOneOfTwoServersHitsItAlone) {
  const Ran ran = check(write("suite.yaml", two_subjects_text()), {"--fault", "kill:canary@0ms"});
  EXPECT_EQ(ran.code, 1) << ran.output << ran.errors;
  EXPECT_THAT(report().at("notes").dump(), HasSubstr("the subject canary ended with signal 9"));
  const auto read = this->evidence();
  ASSERT_TRUE(read);
  for (const auto& entry : *read->ledger) {
    EXPECT_EQ(entry.outcome == records::ClientOutcome::kCompleted, entry.subject == "stable")
        << entry.name << " " << entry.error;
  }
}

TEST_F(Check, AServerThatHangsForAWhileIsLateAndLosesNothing) {
  const Ran ran = check(small_suite(10, 1.5), {"--fault", "stop:subject@500ms+1s"});
  EXPECT_EQ(ran.code, 0) << ran.output << ran.errors;
  EXPECT_THAT(report().at("notes").dump(), HasSubstr("fault injected: stop:subject@500ms+1s"));
  const auto read = this->evidence();
  ASSERT_TRUE(read);
  const auto slowest =
      std::max_element(read->ledger->begin(), read->ledger->end(),
                       [](const auto& a, const auto& b) { return a.done_ns < b.done_ns; });
  EXPECT_GE(slowest->done_ns, 500 * kNsPerMs);
}

TEST_F(Check, AServerThatIsRestartedAnswersAgain) {
  const Ran ran = check(small_suite(30, 4), {"--fault", "restart:subject@1s"});
  // Whether a request or a span is lost depends on the moment; its counters are never accused.
  EXPECT_TRUE(ran.code == 0 || ran.code == 1) << ran.output << ran.errors;
  EXPECT_TRUE(findings("metric").empty() && findings("reconcile").empty()) << ran.output;
  EXPECT_THAT(report().at("notes").dump(), HasSubstr("its counters began anew"));
  const auto run = records::open_run_folder(path("report/run"));
  ASSERT_TRUE(run) << run.error().message;
  EXPECT_TRUE(run->manifest->faults.at(0).applied);
  EXPECT_TRUE(run->manifest->deaths.empty()) << "it is there again";
  const auto read = this->evidence();
  ASSERT_TRUE(read);
  EXPECT_EQ(read->ledger->front().outcome, records::ClientOutcome::kCompleted);
  EXPECT_EQ(read->ledger->back().outcome, records::ClientOutcome::kCompleted);
}

TEST_F(Check, AFaultThatCameTooLateIsUndecidedNotAPass) {
  const Ran ran = check(small_suite(4, 0.3), {"--fault", "kill:collector@1h"});
  EXPECT_EQ(ran.code, 3) << ran.output << ran.errors;
  EXPECT_THAT(report().dump(), HasSubstr("the load ended before its time"));
}

TEST_F(Check, ASecondCheckIntoTheSameFolderIsOneClearMessage) {
  const auto child = check_that_said("driving", small_suite(20, 3));
  ASSERT_TRUE(child);
  const Ran second = check(small_suite(20, 3));
  EXPECT_EQ(second.code, 3) << second.output;
  EXPECT_THAT(second.errors, HasSubstr("another run is being written into this folder"));
  const auto status = child->wait_for_exit(60 * kNsPerSecond);
  ASSERT_TRUE(status) << status.error().message;
  EXPECT_EQ(status->code, 0) << "the first is not disturbed";
}

TEST_F(Check, NothingReceivedIsUndecidedNeverAPass) {
  std::string text = small_suite_text(6, 0.5);
  text = replaced(text, "      - --otlp-traces-endpoint=${collector.otlp_grpc}\n", "");
  const Ran ran = check(write("suite.yaml", text));
  EXPECT_EQ(ran.code, 3) << ran.output << ran.errors;
  EXPECT_EQ(report().at("verdict"), "unknown");
}

TEST_F(Check, TheEmbeddedReceiverStandsInAndTheReportSaysSo) {
  const Ran ran = check(small_suite(), {"--collector", "embedded"});
  EXPECT_THAT(report().at("notes").dump(), HasSubstr("no real Collector took part"));
  const auto evidence = this->evidence();
  ASSERT_TRUE(evidence);
  EXPECT_EQ(conformance::span_count(*evidence), 10) << ran.output << ran.errors;
}

TEST_F(Check, ASubjectThatCannotStartIsUndecidedWithItsLastWords) {
  const std::string text = replaced(small_suite_text(2, 0.1), "touchstone-tiny\n      - --host",
                                    "no-such-model\n      - --host");
  const Ran ran = check(write("suite.yaml", text));
  EXPECT_EQ(ran.code, 3) << ran.output;
  EXPECT_THAT(ran.errors, HasSubstr("subject: ended with exit code"));
  EXPECT_THAT(ran.errors, HasSubstr("no-such-model"));
  EXPECT_FALSE(fs::exists(path("report/report.json"))) << "no report of a run that was not";
}

TEST_F(Check, AProgramThatIsNotThereIsSaidBeforeAnythingStarts) {
  const std::string text =
      replaced(small_suite_text(2, 0.1), "- ${touchstone}", "- no-such-server");
  const Ran ran = check(write("suite.yaml", text));
  EXPECT_EQ(ran.code, 2) << ran.output;
  EXPECT_THAT(ran.errors, HasSubstr("no-such-server: no such program"));
  EXPECT_THAT(ran.errors, testing::Not(HasSubstr("starting the Collector")));
  EXPECT_FALSE(fs::exists(path("report")));
}

TEST_F(Check, ACollectorThatCannotStartIsUndecided) {
  const Ran ran = check(small_suite(), {"--collector", "/bin/false"});
  EXPECT_EQ(ran.code, 3);
  EXPECT_THAT(ran.errors, HasSubstr("/bin/false"));
  EXPECT_THAT(ran.errors, HasSubstr("touchstone collector build"));
}

TEST_F(Check, ABrokenCollectorConfigurationIsSaidBeforeAnythingStarts) {
  write("collector.yaml",
        "receivers: {otlp: {protocols: {grpc: {endpont: x}}}}\n"
        "exporters: {debug: {}}\n"
        "service: {pipelines: {traces: {receivers: [otlp], exporters: [debug]}}}\n");
  const std::string text =
      replaced(small_suite_text(2, 0.1),
               support::source_dir() + "/collector_configs/quickstart.yaml", "collector.yaml");
  const Ran ran = check(write("suite.yaml", text));
  EXPECT_EQ(ran.code, 2) << ran.errors;
  EXPECT_THAT(ran.errors, HasSubstr("endpont"));
}

TEST_F(Check, AFullDiskAtTheReportIsSaidAndUndecided) {
  ASSERT_TRUE(make_directories(path("report")));
  // What the report is written to before it is renamed into place.
  ASSERT_EQ(::symlink("/dev/full", path("report/report.html.tmp").c_str()), 0);
  const Ran ran = check(small_suite(4, 0.3));
  EXPECT_EQ(ran.code, 3) << ran.output << ran.errors;
  EXPECT_THAT(ran.errors, HasSubstr("No space left on device"));
}

TEST_F(Check, CtrlCLeavesNothingBehind) {
  const auto child = check_that_said("driving", small_suite(20, 30));
  ASSERT_TRUE(child);
  child->send_signal(SIGINT);
  const auto status = child->wait_for_exit(60 * kNsPerSecond);
  ASSERT_TRUE(status) << status.error().message;
  EXPECT_EQ(status->code, 3);
  EXPECT_THAT(harness::last_lines(path("stderr"), 5), HasSubstr("interrupted by SIGINT"));
  EXPECT_FALSE(fs::exists(path("report"))) << "nothing was there before";
}

TEST_F(Check, ItsOwnSuddenDeathLeavesNoProcessBehind) {
  const auto child = check_that_said("driving", small_suite(20, 30));
  ASSERT_TRUE(child);
  EXPECT_GE(survivors().size(), 3u) << "check, Collector and subject run";
  child->kill();  // TearDown looks for what is left
}

/// `text` with a running server in place of the one to launch.
std::string attached(const std::string& text, uint16_t port, uint16_t otlp_port) {
  const size_t begin = text.find("  launch:");
  const size_t end = text.find("collector:\n");
  return replaced(
      text.substr(0, begin) + "  attach: {url: \"http://127.0.0.1:" + std::to_string(port) +
          "\", flush_within: 5s}\n" + text.substr(end),
      "collector:\n", "collector:\n  otlp_grpc_port: " + std::to_string(otlp_port) + "\n");
}

TEST_F(Check, AServerThatRunsAlreadyAndWantsAKeyCanBeAttachedTo) {
  harness::PortReservation ports;
  const auto port = ports.take();
  const auto otlp_port = ports.take();
  ASSERT_TRUE(port && otlp_port);
  const auto server = serve(*port, *otlp_port, {"--api-key", "secret"});
  const std::string text = replaced(attached(small_suite_text(8, 0.5), *port, *otlp_port),
                                    "  model: touchstone-tiny\n", "");
  const Ran refused = check(write("suite.yaml", text), {"--api-key", "wrong"});
  EXPECT_EQ(refused.code, 3) << "no model can be asked for";
  EXPECT_THAT(refused.errors, HasSubstr("--api-key"));
  const Ran ran = check(write("suite.yaml", text), {"--api-key", "secret"});
  EXPECT_EQ(ran.code, 0) << ran.output << ran.errors;
  EXPECT_FALSE(server->exited()) << "what was attached to is not stopped";
  const auto evidence = this->evidence();
  ASSERT_TRUE(evidence);
  EXPECT_EQ(conformance::span_count(*evidence), 8);
}

/// Everything that was answered left its span; without a check of the load that would pass.
TEST_F(Check, AServerThatGoesAwayInTheMiddleFailsTheLoad) {
  harness::PortReservation ports;
  const auto port = ports.take();
  const auto otlp_port = ports.take();
  ASSERT_TRUE(port && otlp_port);
  const auto server = serve(*port, *otlp_port);
  const auto child = check_that_said(
      "sent, [1-9]", write("suite.yaml", attached(small_suite_text(30, 8), *port, *otlp_port)));
  ASSERT_TRUE(child) << "some are answered";
  server->send_signal(SIGTERM);
  const auto status = child->wait_for_exit(60 * kNsPerSecond);
  ASSERT_TRUE(status) << status.error().message;
  EXPECT_EQ(status->code, 1) << harness::last_lines(path("stderr"), 20);
  const auto found = findings("");
  ASSERT_FALSE(found.empty());
  for (const auto& finding : found) EXPECT_EQ(finding.at("check_id"), "request.answered");
  EXPECT_GE(found[0].at("count").get<int64_t>(), 1);
}

TEST_F(Check, GeneratedLoadOnARunningServerIsARunFolder) {
  harness::PortReservation ports;
  const auto port = ports.take();
  ASSERT_TRUE(port);
  const auto server = serve(*port, *ports.take());
  const auto ran = harness::run_and_capture(
      {.name = "load",
       .argv = {support::touchstone_binary(), "load", "--url",
                "http://127.0.0.1:" + std::to_string(*port), "--requests", "20", "--rate", "40",
                "--prompt-tokens", "16-32", "--output-tokens", "8", "--record", path("run")}},
      supervision_, 60 * kNsPerSecond);
  ASSERT_TRUE(ran) << ran.error().message;
  EXPECT_TRUE(ran->status.good()) << ran->errors;
  EXPECT_THAT(ran->output, HasSubstr("20 requests to model touchstone-tiny"));
  EXPECT_THAT(ran->output, HasSubstr("20 completed"));
  const auto ledger = records::read_ledger(path("run/requests.jsonl"));
  ASSERT_TRUE(ledger) << ledger.error().message;
  ASSERT_EQ(ledger->size(), 20u);
  for (const auto& entry : *ledger) {
    EXPECT_EQ(entry.output_tokens, 8);
    EXPECT_GE(entry.prompt_tokens, 16);
    EXPECT_TRUE(entry.first_chunk_ns);
  }
  for (const char* file : {"server.json", "metrics.txt", "metrics_before.txt"}) {
    EXPECT_TRUE(fs::exists(path(std::string("run/") + file))) << file;
  }
  const auto described = records::read_server_description(path("run/server.json"));
  ASSERT_TRUE(described) << described.error().message;
  EXPECT_EQ(described->flags.at("max_model_len"), records::Settings::mapped_type(int64_t{512}))
      << "as /v1/models says";
}

/// README: record a load, then simulate what was recorded.
TEST_F(Check, ARecordedLoadCanBeSimulatedAsItIs) {
  harness::PortReservation ports;
  const auto port = ports.take();
  ASSERT_TRUE(port);
  const auto server = serve(*port, *ports.take(), {"--api-key", "secret", "--block-size", "128"});
  const std::string url = "http://127.0.0.1:" + std::to_string(*port) + "/v1";
  const auto run_verb = [&](std::vector<std::string> argv) {
    argv.insert(argv.begin(), support::touchstone_binary());
    return harness::run_and_capture({.name = "touchstone", .argv = argv}, supervision_,
                                    60 * kNsPerSecond);
  };
  const auto refused = run_verb({"load", "--url", url, "--requests", "2", "--record", path("run")});
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->status.code, 3);
  EXPECT_THAT(refused->errors, HasSubstr("--api-key"));
  EXPECT_FALSE(fs::exists(path("run")));
  const auto loaded =
      run_verb({"load", "--url", url, "--api-key", "secret", "--requests", "10", "--rate", "40",
                "--prompt-tokens", "16-32", "--output-tokens", "8", "--record", path("run")});
  ASSERT_TRUE(loaded);
  EXPECT_TRUE(loaded->status.good()) << loaded->errors;
  const auto simulated =
      run_verb({"simulate", "--run", path("run"), "--steptime", "constant:5ms", "--compare"});
  ASSERT_TRUE(simulated);
  EXPECT_TRUE(simulated->status.good()) << simulated->errors;
  EXPECT_THAT(simulated->output, HasSubstr("64 blocks")) << "as the server's own metrics say";
  const auto untimed = run_verb({"simulate", "--run", path("run"), "--compare"});
  ASSERT_TRUE(untimed);
  EXPECT_EQ(untimed->status.code, 2);
  EXPECT_THAT(untimed->errors, HasSubstr("--steptime"));
}

TEST_F(Check, UsageErrorsStartNothing) {
  const struct {
    std::vector<std::string> flags;
    std::string expected;
  } rows[] = {
      {{"--profile", "vllm-v2"}, "vllm-v2"},
      {{"--fault", "kill-collector"}, "no @TIME"},
      {{"--fail-on", "COULD"}, "--fail-on"},
      {{"--format", "pdf"}, "--format"},
      {{"--sed", "1"}, "did you mean `--seed`"},

      {{"--fault", "kill:engine@1s"}, "expected one of: collector, subject"},
      {{"--header", "nonsense"}, "NAME: VALUE"},
  };
  for (const auto& row : rows) {
    const Ran ran = check("", row.flags);
    EXPECT_EQ(ran.code, 2) << join(row.flags, " ") << ran.output << ran.errors;
    EXPECT_THAT(ran.errors, HasSubstr(row.expected));
  }
  const auto nowhere = harness::run_and_capture(
      {.name = "check", .argv = {support::touchstone_binary(), "check", "--output", ""}},
      supervision_, 60 * kNsPerSecond);
  ASSERT_TRUE(nowhere);
  EXPECT_EQ(nowhere->status.code, 2);
  EXPECT_THAT(nowhere->errors, HasSubstr("got an empty path"));
  const Ran missing = check(path("none.yaml"));
  EXPECT_EQ(missing.code, 2);
  EXPECT_THAT(missing.errors, HasSubstr("none.yaml"));
  EXPECT_FALSE(fs::exists(path("report")));
}

}  // namespace
}  // namespace touchstone::end_to_end
