// The program, run as a person would. One thread.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/files.h"
#include "harness/process/capture.h"

namespace touchstone::harness {

/// Words after `touchstone`.
Captured run_touchstone(const std::vector<std::string>& words);

/// `touchstone sink` on free ports, ready.
class SinkProcess final {
 public:
  explicit SinkProcess(const std::vector<std::string>& more = {});
  int grpc_port() const { return grpc_port_; }
  uint16_t http_port() const { return http_port_; }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(http_port_); }
  /// SIGTERM; its exit code.
  int stop();
  std::string log() const;

 private:
  const RealClock clock_;
  const Supervision supervision_{clock_};
  TemporaryDirectory folder_;
  std::unique_ptr<ChildProcess> child_;
  int grpc_port_ = 0;
  uint16_t http_port_ = 0;
};

}  // namespace touchstone::harness
