#include "tests/backends/command.h"

#include <csignal>
#include <cstdio>

#include "base/check.h"
#include "tests/support/paths.h"

namespace touchstone::harness {

Captured run_touchstone(const std::vector<std::string>& words) {
  const RealClock clock;
  SpawnOptions options{.name = "touchstone", .argv = {support::touchstone_binary()}};
  options.argv.insert(options.argv.end(), words.begin(), words.end());
  auto ran = run_and_capture(options, {clock}, 120 * kNsPerSecond);
  BASE_CHECK(ran.has_value(), ran.error().message);
  return *std::move(ran);
}

SinkProcess::SinkProcess(const std::vector<std::string>& more)
    : folder_(*TemporaryDirectory::make("touchstone-sink")) {
  SpawnOptions options{.name = "sink",
                       .argv = {support::touchstone_binary(), "sink", "--grpc", "127.0.0.1:0",
                                "--http", "127.0.0.1:0"},
                       .log_path = folder_.path() + "/log"};
  options.argv.insert(options.argv.end(), more.begin(), more.end());
  auto child = ChildProcess::spawn(options, supervision_);
  BASE_CHECK(child.has_value(), child.error().message);
  child_ = *std::move(child);
  const Status ready = child_->wait_until(
      [&] {
        const std::string text = log();
        const size_t at = text.find("sink: ready: ");
        unsigned http = 0;
        if (at == std::string::npos ||
            std::sscanf(text.c_str() + at, "sink: ready: gRPC port %d, HTTP port %u", &grpc_port_,
                        &http) != 2) {
          return false;
        }
        http_port_ = static_cast<uint16_t>(http);
        return true;
      },
      "its ports", 60 * kNsPerSecond);
  BASE_CHECK(ready.has_value(), ready.error().message);
}

int SinkProcess::stop() {
  child_->send_signal(SIGTERM);
  const auto status = child_->wait_for_exit(60 * kNsPerSecond);
  return status && status->code ? *status->code : -1;
}

std::string SinkProcess::log() const {
  const auto text = read_file(folder_.path() + "/log");
  return text ? *text : "";
}

}  // namespace touchstone::harness
