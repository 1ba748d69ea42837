// A small second process that kills the registered process groups when this process dies without
// having been able to do so (SIGKILL, the machine's memory killer). PR_SET_PDEATHSIG alone reaches
// only the direct children, not theirs. Thread-compatible.
#pragma once

#include <sys/types.h>

#include <memory>

#include "base/result.h"

namespace touchstone::harness {

class ProcessGuard final {
 public:
  /// Call before any thread is started: the guard is forked without an exec.
  static Result<std::unique_ptr<ProcessGuard>> start();
  /// Ends the guard. REQUIRES: every group was removed.
  ~ProcessGuard();
  ProcessGuard(const ProcessGuard&) = delete;
  ProcessGuard& operator=(const ProcessGuard&) = delete;

  void add(pid_t group);
  void remove(pid_t group);

 private:
  ProcessGuard(pid_t pid, int descriptor) : pid_(pid), descriptor_(descriptor) {}
  void send(int operation, pid_t group);
  pid_t pid_;
  int descriptor_;  // write end; its end of file is our death
};

}  // namespace touchstone::harness
