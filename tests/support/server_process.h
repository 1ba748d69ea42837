// `touchstone serve` as a child process, for end-to-end tests over the real binary.
// Thread-compatible.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/files.h"
#include "harness/process/child.h"
#include "tests/support/http_client.h"

namespace touchstone::testing {

struct ServerProcessOptions {
  std::string model;  ///< folder
  std::vector<std::string> flags;
  std::map<std::string, std::string> environment;
  bool log_is_read = true;  ///< false: stderr is a pipe that nobody reads
};

class ServerProcess final {
 public:
  /// Starts it on a free port and waits until it is ready; ready() tells.
  explicit ServerProcess(const ServerProcessOptions& options);

  bool ready() const { return ready_; }
  uint16_t port() const { return port_; }
  /// Why it did not get ready, its last lines included.
  const std::string& problem() const { return problem_; }
  HttpClient connect(int timeout_s = 60) const { return HttpClient(port_, timeout_s); }
  /// GET /metrics, one sample's value; NaN when absent.
  double metric(const std::string& name,
                const std::map<std::string, std::string>& labels = {}) const;
  /// Asks until the metric has the value; false after `timeout_s`.
  bool wait_for_metric(const std::string& name, double value, int timeout_s = 30) const;

  void signal(int number) { child_->send_signal(number); }
  /// The exit code; nullopt when it was killed by a signal or did not end in time.
  std::optional<int> wait_for_exit(int timeout_s = 60);
  /// SIGTERM and wait_for_exit().
  std::optional<int> stop(int timeout_s = 60);
  /// The most memory that it ever had resident; 0 when it has ended.
  int64_t peak_resident_bytes() const;
  std::string log() const;
  /// Waits until `text` is in the log; false after `timeout_s`.
  bool wait_for_log(const std::string& text, int timeout_s = 30) const;
  std::string path(const std::string& name) const { return folder_->path() + "/" + name; }

 private:
  RealClock clock_;
  harness::Supervision supervision_{clock_};
  std::unique_ptr<TemporaryDirectory> folder_;
  std::unique_ptr<harness::ChildProcess> child_;
  bool ready_ = false;
  uint16_t port_ = 0;  // 0: a Unix socket
  std::string problem_;
};

/// A folder in which `name` is a disk without space: every write gives ENOSPC.
TemporaryDirectory full_disk(const std::string& name);

/// The recorded vLLM's own small model.
std::string capture_model();

}  // namespace touchstone::testing
