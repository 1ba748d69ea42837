// Child processes under supervision: each in its own process group with its output in files,
// waited for with a deadline, stopped in order (SIGTERM, then SIGKILL to the whole group), and
// killed by the kernel or by the guard when this process dies. Thread-compatible; spawn from the
// thread that lives as long as the child (PR_SET_PDEATHSIG is per thread).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "harness/process/guard.h"
#include "harness/process/signals.h"

namespace touchstone::harness {

/// What every part that starts or waits for processes needs. All outlive the parts.
struct Supervision {
  const Clock& clock;
  SignalWatch* signals = nullptr;  ///< null: waits cannot be interrupted
  ProcessGuard* guard = nullptr;   ///< null: grandchildren survive a SIGKILL of this process
};

/// Waits `timeout_ns`, between two looks at something that cannot be waited for itself.
/// ERRORS: kCancelled when a signal came.
Status pause_for(int64_t timeout_ns, const Supervision& supervision);

struct SpawnOptions {
  std::string name = {};               ///< for messages: "collector"
  std::vector<std::string> argv = {};  ///< argv[0] is looked up on PATH unless it has a slash
  /// Added to this process's environment, replacing equal names. OTEL_*, TRACEPARENT and TRACESTATE
  /// are not inherited.
  std::map<std::string, std::string> environment = {};
  std::string working_directory = {};  ///< empty: this process's
  std::string log_path = {};           ///< stdout and stderr, appended; empty: /dev/null
  /// stdout alone goes here when set, stderr to log_path.
  std::string stdout_path = {};
};

struct ExitStatus {
  std::optional<int> code;
  std::optional<int> signal;
  bool good() const { return code == 0; }
  std::string text() const;  ///< "exit code 3", "signal 9 (Killed)"
};

class ChildProcess final {
 public:
  /// ERRORS: kNotFound when the program does not exist or cannot be executed, kIo.
  static Result<std::unique_ptr<ChildProcess>> spawn(SpawnOptions options,
                                                     const Supervision& supervision);
  /// Kills the group if it still lives.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t pid() const { return pid_; }
  const std::string& name() const { return options_.name; }
  const std::string& log_path() const { return options_.log_path; }
  /// Readable when the child has exited; -1 where the kernel has no pidfd.
  int exit_fd() const { return exit_fd_; }

  /// The exit status if it has exited. What is left of its group is then killed.
  std::optional<ExitStatus> exited();
  /// ERRORS: kTimeout; kCancelled when a signal came (the child lives on).
  Result<ExitStatus> wait_for_exit(int64_t timeout_ns);
  /// Waits until probe() is true, asked every `interval_ns`.
  /// ERRORS: kUnavailable with the last lines of the log when the child exits first, kTimeout the
  /// same with `what` was waited for, kCancelled.
  Status wait_until(const std::function<bool()>& probe, const std::string& what, int64_t timeout_ns,
                    int64_t interval_ns = 20 * kNsPerMs);

  void send_signal(int signal);
  struct Stop {
    ExitStatus status;
    bool forced = false;  ///< it did not leave by itself and was killed
  };
  /// SIGTERM, waits, SIGKILL to the group. A second signal to this process cuts the wait short.
  Stop stop(int64_t grace_ns);
  /// SIGKILL to the group at once.
  ExitStatus kill();

  /// The last `count` lines of the log, for messages.
  std::string log_tail(size_t count = 12) const;

 private:
  ChildProcess(SpawnOptions options, const Supervision& supervision, pid_t pid, int exit_fd);
  /// Waits for exit or a signal at most `timeout_ns`; true when it has exited.
  bool pause(int64_t timeout_ns, int signal_count_to_ignore);

  SpawnOptions options_;
  Supervision supervision_;
  pid_t pid_;
  int exit_fd_;
  std::optional<ExitStatus> status_;
};

/// The last `count` lines of a file; empty when it cannot be read.
std::string last_lines(const std::string& path, size_t count);
/// "…\nlast lines of PATH:\n  …" for error messages; empty for an empty or missing log.
std::string quoted_log_tail(const std::string& path, size_t count = 12);

}  // namespace touchstone::harness
