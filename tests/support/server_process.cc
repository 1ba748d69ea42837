#include "tests/support/server_process.h"

#include <unistd.h>

#include <csignal>
#include <limits>

#include "base/check.h"
#include "base/files.h"
#include "base/text.h"
#include "telemetry/prometheus/text.h"
#include "tests/support/paths.h"

namespace touchstone::testing {

ServerProcess::ServerProcess(const ServerProcessOptions& options) {
  auto folder = TemporaryDirectory::make("touchstone-server-test");
  if (!folder) {
    problem_ = folder.error().message;
    return;
  }
  folder_ = std::make_unique<TemporaryDirectory>(std::move(*folder));
  harness::SpawnOptions spawn;
  spawn.name = "touchstone serve";
  spawn.argv = {support::touchstone_binary(),
                "serve",
                "--model",
                options.model,
                "--host",
                "127.0.0.1",
                "--port",
                "0",
                "--port-file",
                path("port"),
                "--threads",
                "1"};
  spawn.argv.insert(spawn.argv.end(), options.flags.begin(), options.flags.end());
  for (std::string& flag : spawn.argv) {
    // Files of a test live with its server: "@name" is a path there.
    if (flag.starts_with("@")) flag = path(flag.substr(1));
  }
  if (!options.log_is_read) {
    // Descriptor 3 keeps the pipe open.
    const std::string unread = R"(mkfifo "$0" && exec "$@" 3<>"$0" 2>"$0")";
    const std::vector<std::string> shell = {"/bin/sh", "-c", unread, path("unread")};
    spawn.argv.insert(spawn.argv.begin(), shell.begin(), shell.end());
  }
  spawn.environment = options.environment;
  spawn.log_path = path("log");
  auto child = harness::ChildProcess::spawn(std::move(spawn), supervision_);
  if (!child) {
    problem_ = child.error().message;
    return;
  }
  child_ = std::move(*child);
  const Status ready = child_->wait_until(
      [this] {
        const Result<std::string> port = read_file(path("port"));
        ready_ = port.has_value() && !port->empty();
        if (ready_) port_ = static_cast<uint16_t>(parse_int(trim(*port)).value_or(0));
        return ready_;
      },
      "the port file", 60 * kNsPerSecond, 5 * kNsPerMs);
  if (!ready) problem_ = ready.error().message;
}

double ServerProcess::metric(const std::string& name,
                             const std::map<std::string, std::string>& labels) const {
  const double none = std::numeric_limits<double>::quiet_NaN();
  const HttpAnswer answer = connect().exchange("GET", "/metrics");
  const auto page = telemetry::parse_prometheus_text("/metrics", answer.body);
  return page ? page->value(name, labels).value_or(none) : none;
}

bool ServerProcess::wait_for_metric(const std::string& name, double value, int timeout_s) const {
  const int64_t deadline = clock_.monotonic_ns() + timeout_s * kNsPerSecond;
  while (metric(name) != value) {
    if (clock_.monotonic_ns() > deadline) return false;
    if (!harness::pause_for(5 * kNsPerMs, supervision_)) return false;
  }
  return true;
}

std::optional<int> ServerProcess::wait_for_exit(int timeout_s) {
  const auto status = child_->wait_for_exit(timeout_s * kNsPerSecond);
  return status ? status->code : std::nullopt;
}

std::optional<int> ServerProcess::stop(int timeout_s) {
  signal(SIGTERM);
  return wait_for_exit(timeout_s);
}

int64_t ServerProcess::peak_resident_bytes() const {
  const auto status = read_file("/proc/" + std::to_string(child_->pid()) + "/status");
  const size_t at = status ? status->find("VmHWM:") : std::string::npos;
  if (at == std::string::npos) return 0;
  const std::string_view rest = std::string_view(*status).substr(at + 6);
  return parse_int(trim(rest.substr(0, rest.find("kB")))).value_or(0) * 1024;
}

std::string ServerProcess::log() const {
  const Result<std::string> text = read_file(path("log"));
  return text ? *text : std::string();
}

bool ServerProcess::wait_for_log(const std::string& text, int timeout_s) const {
  const int64_t deadline = clock_.monotonic_ns() + timeout_s * kNsPerSecond;
  while (log().find(text) == std::string::npos) {
    if (clock_.monotonic_ns() > deadline) return false;
    if (!harness::pause_for(5 * kNsPerMs, supervision_)) return false;
  }
  return true;
}

std::string capture_model() { return support::source_dir() + "/fixtures/models/vllm-capture"; }

TemporaryDirectory full_disk(const std::string& name) {
  auto folder = *TemporaryDirectory::make("touchstone-full-disk");
  BASE_CHECK(::symlink("/dev/full", (folder.path() + "/" + name).c_str()) == 0, name);
  return folder;
}

}  // namespace touchstone::testing
