#include "tests/end_to_end/stack.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <regex>

#include "base/text.h"
#include "conformance/evidence_reader.h"
#include "http/client.h"
#include "tests/support/paths.h"

namespace touchstone::end_to_end {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kHang = 400 * kNsPerSecond;  // a deadline that only a hang reaches
const std::string kSource = support::source_dir();

}  // namespace

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

void Check::SetUp() {
  auto made = TemporaryDirectory::make("touchstone-end-to-end");
  ASSERT_TRUE(made);
  folder_ = std::make_unique<TemporaryDirectory>(std::move(*made));
  const auto found = harness::run_and_capture(
      {.name = "find", .argv = {support::touchstone_binary(), "collector", "find"}}, supervision_,
      kHang);
  ASSERT_TRUE(found) << found.error().message;
  if (!found->status.good()) GTEST_SKIP() << "no real Collector here: " << found->errors;
}

void Check::TearDown() {
  if (folder_ == nullptr) return;
  EXPECT_EQ(join(survivors_at_last(), "\n"), "") << "processes were left behind";
}

std::string Check::collector_binary() const {
  const auto found = harness::run_and_capture(
      {.name = "find", .argv = {support::touchstone_binary(), "collector", "find"}}, supervision_,
      kHang);
  EXPECT_TRUE(found && found->status.good());
  return found ? found->output.substr(0, found->output.find_first_of(" \n")) : "";
}

std::string Check::write(const std::string& name, const std::string& content) const {
  EXPECT_TRUE(write_file_atomic(path(name), content));
  return path(name);
}

harness::SpawnOptions Check::check_command(const std::string& suite,
                                           const std::vector<std::string>& more) const {
  harness::SpawnOptions options{
      .name = "check",
      .argv = {support::touchstone_binary(), "check", "--output", path("report")},
      .working_directory = folder_->path()};
  if (!suite.empty()) options.argv.push_back(suite);
  options.argv.insert(options.argv.end(), more.begin(), more.end());
  return options;
}

Ran Check::check(const std::string& suite, const std::vector<std::string>& more) const {
  const auto ran = harness::run_and_capture(check_command(suite, more), supervision_, kHang);
  if (!ran) return {-1, "", ran.error().message};
  return {ran->status.code.value_or(-2), ran->output, ran->errors};
}

std::unique_ptr<harness::ChildProcess> Check::check_that_said(const std::string& words,
                                                              const std::string& suite) const {
  harness::SpawnOptions options = check_command(suite);
  options.log_path = path("stderr");
  auto child = harness::ChildProcess::spawn(options, supervision_);
  if (!child) return nullptr;
  const std::regex wanted(words);
  const Status said = (*child)->wait_until(
      [&] { return std::regex_search(harness::last_lines(path("stderr"), 50), wanted); }, words,
      60 * kNsPerSecond);
  return said ? std::move(*child) : nullptr;
}

void Check::write_workload(const std::string& name, int requests, double seconds) const {
  std::string workload = "{\"workload\": 1}\n";
  for (int i = 0; i < requests; ++i) {
    nlohmann::json request = {
        {"name", "r" + std::to_string(i)},
        {"arrival_ns", static_cast<int64_t>(seconds * 1e9 / requests * i)},
        {"stream", i % 2 == 0},
        {"prompt", "The old man walked down to the river and"},
        {"output_tokens", 12},
        {"sampling", {{"temperature", 0.8}, {"seed", i}, {"ignore_eos", true}}}};
    workload += request.dump() + "\n";
  }
  write(name, workload);
}

std::string Check::two_subjects_text() const {
  write_workload("stable.jsonl", 8, 1);
  write_workload("canary.jsonl", 6, 1);
  std::string subjects;
  for (const std::string name : {"stable", "canary"}) {
    subjects += "  - name: " + name +
                "\n"
                "    engine: touchstone\n"
                "    launch:\n"
                "      command: [\"${touchstone}\", serve, " +
                kSource +
                "/fixtures/models/touchstone-tiny,\n"
                "        --host=127.0.0.1, \"--port=${subject.port}\", \"--served-model-name=" +
                name +
                "-model\",\n"
                "        --max-model-len=512, --num-gpu-blocks-override=64,\n"
                "        \"--otlp-traces-endpoint=${collector.otlp_grpc}\"]\n"
                "      environment: {OTEL_SERVICE_NAME: vllm-inference, OTEL_BSP_SCHEDULE_DELAY: "
                "\"200\"}\n";
  }
  return "schema: 2\nname: two\nsubjects:\n" + subjects + "collector:\n  config: " + kSource +
         "/collector_configs/quickstart.yaml\n"
         "loads:\n"
         "  - {subject: stable, workload: stable.jsonl, seed: 1}\n"
         "  - {subject: canary, workload: canary.jsonl, seed: 1}\n"
         "profiles: [vllm-v1]\n";
}

std::string Check::small_suite_text(int requests, double seconds) const {
  write_workload("load.jsonl", requests, seconds);
  return "schema: 1\n"
         "name: small\n"
         "subject:\n"
         "  engine: touchstone\n"
         "  launch:\n"
         "    command:\n"
         "      - ${touchstone}\n"
         "      - serve\n"
         "      - " +
         kSource +
         "/fixtures/models/touchstone-tiny\n"
         "      - --host=127.0.0.1\n"
         "      - --port=${subject.port}\n"
         "      - --served-model-name=touchstone-tiny\n"
         "      - --max-model-len=512\n"
         "      - --num-gpu-blocks-override=64\n"
         "      - --otlp-traces-endpoint=${collector.otlp_grpc}\n"
         "      - --step-log=${run}/steps.jsonl\n"
         "      - --request-log=${run}/records.jsonl\n"
         "    environment: {OTEL_SERVICE_NAME: vllm-inference, OTEL_BSP_SCHEDULE_DELAY: \"200\"}\n"
         "collector:\n"
         "  config: " +
         kSource +
         "/collector_configs/quickstart.yaml\n"
         "load:\n"
         "  workload: load.jsonl\n"
         "  model: touchstone-tiny\n"
         "  timeout: 30s\n"
         "  samples: [r0]\n"
         "profiles: [vllm-v1]\n";
}

std::string Check::small_suite(int requests, double seconds) const {
  return write("suite.yaml", small_suite_text(requests, seconds));
}

std::unique_ptr<harness::ChildProcess> Check::serve(
    uint16_t port, uint16_t otlp_port, const std::vector<std::string>& more,
    const std::map<std::string, std::string>& environment) const {
  const std::string url = "http://127.0.0.1:" + std::to_string(port);
  std::vector<std::string> argv = {
      support::touchstone_binary(),
      "serve",
      kSource + "/fixtures/models/touchstone-tiny",
      "--host=127.0.0.1",
      "--port=" + std::to_string(port),
      "--served-model-name=touchstone-tiny",
      "--max-model-len=512",
      "--num-gpu-blocks-override=64",
      "--otlp-traces-endpoint=http://127.0.0.1:" + std::to_string(otlp_port)};
  argv.insert(argv.end(), more.begin(), more.end());
  std::map<std::string, std::string> variables = {{"OTEL_SERVICE_NAME", "vllm-inference"},
                                                  {"OTEL_BSP_SCHEDULE_DELAY", "200"}};
  variables.insert(environment.begin(), environment.end());
  auto child = harness::ChildProcess::spawn(
      {.name = "serve", .argv = argv, .environment = variables, .log_path = path("serve.log")},
      supervision_);
  EXPECT_TRUE(child);
  const Status ready = (*child)->wait_until(
      [&] { return http::http_get_body(url + "/health", kNsPerSecond).has_value(); },
      url + "/health", 60 * kNsPerSecond);
  EXPECT_TRUE(ready) << ready.error().message;
  return std::move(*child);
}

Result<conformance::Evidence> Check::evidence() const {
  const auto run = records::open_run_folder(path("report/run"));
  if (!run) return run.error();
  auto read = harness::evidence_of_run(*run, 0);
  if (!read) return read;
  RETURN_IF_ERROR(conformance::read_spans(run->span_files(), *read,
                                          [&](const telemetry::TraceBatch& batch) -> Status {
                                            read->spans.push_back(batch);
                                            return {};
                                          }));
  return read;
}

nlohmann::json Check::report() const {
  const auto text = read_file(path("report/report.json"));
  EXPECT_TRUE(text) << text.error().message;
  return nlohmann::json::parse(*text);
}

std::vector<nlohmann::json> Check::findings(const std::string& prefix) const {
  std::vector<nlohmann::json> found;
  const nlohmann::json read = report();
  for (const auto& check : read.at("checks")) {
    for (const auto& finding : check.at("findings")) {
      if (finding.at("check_id").get<std::string>().starts_with(prefix)) found.push_back(finding);
    }
  }
  return found;
}

std::vector<std::string> Check::survivors() const {
  std::vector<std::string> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/proc", error)) {
    const std::string pid = entry.path().filename().string();
    if (!parse_int(pid) || pid == std::to_string(::getpid())) continue;
    for (const char* file : {"/cmdline", "/environ"}) {
      auto text = read_file("/proc/" + pid + file);
      if (!text || text->find(folder_->path()) == std::string::npos) continue;
      std::replace(text->begin(), text->end(), '\0', ' ');
      found.push_back(pid + ": " + text->substr(0, 200));
      break;
    }
  }
  return found;
}

std::vector<std::string> Check::survivors_at_last() const {
  const int64_t deadline = clock_.monotonic_ns() + 10 * kNsPerSecond;
  for (;;) {
    auto found = survivors();
    if (found.empty() || clock_.monotonic_ns() > deadline) return found;
    (void)harness::pause_for(20 * kNsPerMs, supervision_);
  }
}

}  // namespace touchstone::end_to_end
