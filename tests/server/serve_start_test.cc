// How `touchstone serve` starts, and what it refuses to start with.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>

#include "harness/process/capture.h"
#include "tests/support/paths.h"
#include "tests/support/server_process.h"

namespace touchstone::testing {
namespace {

using ::testing::HasSubstr;

struct BadStart {
  const char* what;
  std::vector<std::string> arguments;
  int exit_code;
  const char* message;
};

/// Runs `touchstone serve` that must not start; its exit code and stderr.
harness::Captured run_serve(const std::vector<std::string>& arguments) {
  const RealClock clock;
  harness::SpawnOptions spawn;
  spawn.name = "serve";
  spawn.argv = {support::touchstone_binary(), "serve"};
  spawn.argv.insert(spawn.argv.end(), arguments.begin(), arguments.end());
  auto captured = harness::run_and_capture(std::move(spawn), {.clock = clock}, 30 * kNsPerSecond);
  EXPECT_TRUE(captured) << captured.error().message;
  return captured ? *captured : harness::Captured{};
}

TEST(Serve, BadInputGivesOneMessageAndTheRightExitCode) {
  const std::string model = capture_model();
  const std::string adapter = support::source_dir() + "/fixtures/models/adapters/vllm-capture";
  const std::vector<BadStart> table = {
      {"no model", {}, 2, "expected the folder of a model"},
      {"missing folder", {"/no/such/folder"}, 2, "/no/such/folder: no such model folder"},
      {"unknown flag", {model, "--max-num-seq", "3"}, 2, "did you mean `--max-num-seqs`?"},
      {"zero", {model, "--max-num-seqs", "0"}, 2, "--max-num-seqs"},
      {"not a number", {model, "--block-size", "x"}, 2, "--block-size"},
      {"bad length", {model, "--max-model-len", "4x"}, 2, "such as 4096, 8k or 32K"},
      {"longer than the model", {model, "--max-model-len", "1M"}, 2, "max_position_embeddings"},
      {"too few blocks",
       {model, "--num-gpu-blocks-override", "3", "--block-size", "16"},
       2,
       "the largest --max-model-len that fits is 32"},
      {"port", {model, "--port", "70000"}, 2, "--port"},
      {"policy", {model, "--scheduling-policy", "lifo"}, 2, "fcfs"},
      {"not implemented",
       {model, "--enable-sleep-mode"},
       2,
       "--enable-sleep-mode: not implemented"},
      {"adapter without the switch",
       {model, "--lora-modules", "a=" + adapter},
       2,
       "LoRA is not enabled. Use --enable-lora"},
      {"no such adapter",
       {model, "--enable-lora", "--lora-modules", "a=/no/such"},
       2,
       "Loading lora a failed: No adapter found for /no/such"},
      {"adapter under the model's name",
       {model, "--enable-lora", "--served-model-name", "a", "--lora-modules", "a=" + adapter},
       2,
       "conflicts with a served base model"},
      {"adapter that is no JSON",
       {model, "--enable-lora", "--lora-modules", "{\"name\": \"a\", "},
       2,
       "--lora-modules"},
      {"adapter without a path",
       {model, "--enable-lora", "--lora-modules", "{\"name\": \"a\", \"base_model_name\": \"b\"}"},
       2,
       "path"},
      {"rank over the limit",
       {model, "--enable-lora", "--max-lora-rank", "1", "--lora-modules", "a=" + adapter},
       2,
       "LoRA rank 4 is greater than max_lora_rank 1."},
      {"no such rank", {model, "--enable-lora", "--max-lora-rank", "9"}, 2, "--max-lora-rank"},
      {"fewer in memory than in a step",
       {model, "--enable-lora", "--max-loras", "3", "--max-cpu-loras", "2"},
       2,
       "max_cpu_loras (2) must be >= max_loras (3)."},
      {"not implemented value",
       {model, "--tensor-parallel-size", "2"},
       2,
       "the model is not split"},
      {"generation config",
       {model, "--generation-config", "/no/such"},
       2,
       "auto, vllm, or a folder"},
      {"duration", {model, "--http-read-timeout", "3"}, 2, "such as 30s"},
      {"budget", {model, "--max-num-batched-tokens", "4"}, 2, "max_num_batched_tokens: got 4"},
      {"log folder",
       {model, "--port", "0", "--step-log", "/no/such/folder/steps"},
       2,
       "/no/such/folder/steps"},
      {"endpoint", {model, "--port", "0", "--otlp-traces-endpoint", "ftp://x"}, 2, "ftp"},
      {"no endpoint", {model, "--port", "0", "--otlp-traces-endpoint", "notaurl"}, 2, "notaurl"},
      {"certificate", {model, "--ssl-certfile", "/no/such.crt"}, 2, "--ssl-certfile: /no/such.crt"},
      {"key alone", {model, "--ssl-keyfile", "/no/such.key"}, 2, "--ssl-certfile: got none"},
      {"certificates of clients", {model, "--ssl-cert-reqs", "3"}, 2, "--ssl-cert-reqs"},
      {"threads", {model, "--threads", "257"}, 2, "--threads"},
      {"chat template", {model, "--chat-template", "no/such.jinja"}, 2, "--chat-template: got"},
      {"bad chat template", {model, "--chat-template", "{% if %}"}, 3, "chat template: line 1"},
  };
  for (const BadStart& bad : table) {
    const harness::Captured run = run_serve(bad.arguments);
    EXPECT_EQ(run.status.code, bad.exit_code) << bad.what << ": " << run.errors;
    EXPECT_THAT(run.errors, HasSubstr(bad.message)) << bad.what;
  }
}

TEST(Serve, HelpIsAsWritten) {
  const std::string path = support::source_dir() + "/tests/server/serve_help.txt";
  const auto golden = read_file(path);
  ASSERT_TRUE(golden) << golden.error().message;
  EXPECT_EQ(run_serve({"--help"}).output, *golden)
      << "if the change is meant: touchstone serve --help > tests/server/serve_help.txt";
}

TEST(Serve, ADamagedModelIsRefused) {
  auto folder = TemporaryDirectory::make("touchstone-damaged-model");
  ASSERT_TRUE(folder);
  const std::string copy = folder->path() + "/model";
  std::filesystem::copy(capture_model(), copy);
  const std::string weights = copy + "/model.safetensors";
  std::filesystem::permissions(weights, std::filesystem::perms::owner_write,
                               std::filesystem::perm_options::add);
  std::filesystem::resize_file(weights, std::filesystem::file_size(weights) / 2);
  const harness::Captured truncated = run_serve({copy, "--port", "0"});
  EXPECT_EQ(truncated.status.code, 3) << truncated.errors;
  EXPECT_THAT(truncated.errors, HasSubstr("model.safetensors"));
  std::filesystem::remove(weights);
  EXPECT_EQ(run_serve({copy, "--port", "0"}).status.code, 2);
  std::filesystem::copy(capture_model() + "/model.safetensors", weights);
  std::filesystem::permissions(copy + "/tokenizer.json", std::filesystem::perms::owner_write,
                               std::filesystem::perm_options::add);
  std::filesystem::resize_file(copy + "/tokenizer.json", 5000);
  const harness::Captured tokenizer = run_serve({copy, "--port", "0"});
  EXPECT_THAT(tokenizer.errors, ::testing::ContainsRegex("line [0-9]+, column [0-9]+"))
      << "the place";
}

TEST(Serve, ABusyPortIsNamed) {
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(::bind(socket, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(socket, 1), 0);
  socklen_t size = sizeof address;
  ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size);
  const std::string port = std::to_string(ntohs(address.sin_port));
  const harness::Captured run = run_serve({capture_model(), "--host", "127.0.0.1", "--port", port});
  EXPECT_EQ(run.status.code, 3) << run.errors;
  EXPECT_THAT(run.errors, HasSubstr("cannot listen on 127.0.0.1:" + port));
  ::close(socket);
}

TEST(Serve, AFileThatCannotBeBegunIsNamedWithItsFlag) {
  const TemporaryDirectory steps = full_disk("steps");
  const TemporaryDirectory port = full_disk("port.tmp");
  const std::vector<std::pair<std::string, std::string>> table = {
      {"--step-log", steps.path() + "/steps"}, {"--port-file", port.path() + "/port"}};
  for (const auto& [flag, path] : table) {
    const harness::Captured run = run_serve({capture_model(), "--port", "0", flag, path});
    EXPECT_EQ(run.status.code, 3) << run.errors;
    EXPECT_THAT(run.errors, HasSubstr(flag + ": " + path + ": cannot write: No space left"));
  }
}

TEST(Serve, HarmlessFlagsOfVllmAreAcceptedAloud) {
  ServerProcess server({.model = capture_model(),
                        .flags = {"--enforce-eager", "--tensor-parallel-size", "1",
                                  "--gpu-memory-utilization", "0.5"},
                        .environment = {}});
  ASSERT_TRUE(server.ready()) << server.problem();
  EXPECT_THAT(server.log(), HasSubstr("--enforce-eager: accepted without effect"));
  EXPECT_THAT(server.log(), HasSubstr("--gpu-memory-utilization: accepted without effect"));
}

}  // namespace
}  // namespace touchstone::testing
