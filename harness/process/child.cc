#include "harness/process/child.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/files.h"
#include "base/text.h"

namespace touchstone::harness {
namespace {

/// Without a pidfd the exit can only be asked for: how often.
constexpr int64_t kExitPollNs = 10 * kNsPerMs;
/// A killed process is gone in microseconds unless the kernel itself is stuck in it.
constexpr int64_t kKillWaitNs = 10 * kNsPerSecond;

/// What would make a child export, sample or join traces as this process was told to: a child is
/// told by its suite alone. Source: OpenTelemetry specification, environment variables; W3C Trace
/// Context in the environment.
bool is_telemetry_setting(const std::string& name) {
  const std::string lower = to_lower(name);
  return lower.starts_with("otel_") || lower == "traceparent" || lower == "tracestate";
}

std::vector<std::string> merged_environment(const std::map<std::string, std::string>& added) {
  std::vector<std::string> merged;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const std::string name = text.substr(0, text.find('='));
    if (!added.contains(name) && !is_telemetry_setting(name)) merged.push_back(text);
  }
  for (const auto& [key, value] : added) merged.push_back(key + "=" + value);
  return merged;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

struct ExecPlan {
  char* const* argv;
  char* const* environment;
  const char* directory;  // empty: keep
  const char* log_path;
  const char* stdout_path;
  pid_t parent;
  int report_fd;
};

int open_log(const char* path) {
  if (path[0] == '\0') return ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  return ::open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
}

/// Between fork and exec only async-signal-safe calls. Failures go to `report_fd` as errno.
[[noreturn]] void exec_child(const ExecPlan& plan) {
  const auto fail = [&] {
    const int code = errno;
    (void)!::write(plan.report_fd, &code, sizeof code);
    ::_exit(127);
  };
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != plan.parent) ::_exit(127);  // it died before the line above
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_DFL);
  signal(SIGINT, SIG_DFL);
  const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  const int log = open_log(plan.log_path);
  const int out = plan.stdout_path[0] == '\0' ? log : open_log(plan.stdout_path);
  if (null < 0 || log < 0 || out < 0) fail();
  if (::dup2(null, 0) < 0 || ::dup2(out, 1) < 0 || ::dup2(log, 2) < 0) fail();
  if (plan.directory[0] != '\0' && ::chdir(plan.directory) != 0) fail();
  ::execvpe(plan.argv[0], plan.argv, plan.environment);
  fail();
  ::_exit(127);
}

/// Waits for the exec: 0 when it worked, else the errno of what did not.
int exec_errno(int descriptor) {
  int code = 0;
  ssize_t got;
  do {
    got = ::read(descriptor, &code, sizeof code);
  } while (got < 0 && errno == EINTR);
  return got == static_cast<ssize_t>(sizeof code) ? code : 0;
}

Error spawn_error(const SpawnOptions& options, int code) {
  const bool missing = code == ENOENT || code == EACCES || code == ENOEXEC || code == ENOTDIR;
  return {missing ? ErrorCode::kNotFound : ErrorCode::kIo,
          options.name + ": cannot start " + quote(options.argv[0]) + ": " + std::strerror(code),
          missing ? "is it installed, executable, and on PATH?" : ""};
}

}  // namespace

Status pause_for(int64_t timeout_ns, const Supervision& supervision) {
  pollfd wait{};
  const bool interruptible = supervision.signals != nullptr;
  if (interruptible) {
    RETURN_IF_ERROR(supervision.signals->check());
    wait = {supervision.signals->fd(), POLLIN, 0};
  }
  const timespec timeout{timeout_ns / kNsPerSecond, timeout_ns % kNsPerSecond};
  ::ppoll(&wait, interruptible ? 1 : 0, &timeout, nullptr);
  return interruptible ? supervision.signals->check() : Status();
}

std::string ExitStatus::text() const {
  if (signal) return "signal " + std::to_string(*signal) + " (" + ::strsignal(*signal) + ")";
  return "exit code " + std::to_string(code.value_or(-1));
}

std::string last_lines(const std::string& path, size_t count) {
  const auto content = read_file(path);
  if (!content) return {};
  std::string_view text = *content;
  while (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  size_t begin = text.size();
  for (size_t lines = 0; lines < count && begin > 0; ++lines) {
    const size_t end = text.rfind('\n', begin - 1);
    begin = end == std::string_view::npos ? 0 : end;
  }
  if (begin < text.size() && text[begin] == '\n') ++begin;
  return std::string(text.substr(begin));
}

std::string quoted_log_tail(const std::string& path, size_t count) {
  if (path.empty()) return {};
  const std::string tail = last_lines(path, count);
  if (tail.empty()) return {};
  std::string text = "\nlast lines of " + path + ":";
  for (const std::string& line : split(tail, '\n')) text += "\n  " + line.substr(0, 400);
  return text;
}

Result<std::unique_ptr<ChildProcess>> ChildProcess::spawn(SpawnOptions options,
                                                          const Supervision& supervision) {
  BASE_CHECK(!options.argv.empty(), options.name);
  std::vector<std::string> environment = merged_environment(options.environment);
  const std::vector<char*> argv = pointers(options.argv);
  const std::vector<char*> env = pointers(environment);
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return spawn_error(options, errno);
  const ExecPlan plan{argv.data(),
                      env.data(),
                      options.working_directory.c_str(),
                      options.log_path.c_str(),
                      options.stdout_path.c_str(),
                      ::getpid(),
                      ends[1]};
  const pid_t pid = ::fork();
  if (pid == 0) exec_child(plan);
  const int fork_errno = errno;
  ::close(ends[1]);
  if (pid < 0) {
    ::close(ends[0]);
    return spawn_error(options, fork_errno);
  }
  ::setpgid(pid, pid);  // both sides do it, so that neither can be too late
  const int code = exec_errno(ends[0]);
  ::close(ends[0]);
  if (code != 0) {
    ::waitpid(pid, nullptr, 0);
    return spawn_error(options, code);
  }
  if (supervision.guard != nullptr) supervision.guard->add(pid);
  const int exit_fd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  if (exit_fd >= 0) ::fcntl(exit_fd, F_SETFD, FD_CLOEXEC);
  return std::unique_ptr<ChildProcess>(
      new ChildProcess(std::move(options), supervision, pid, exit_fd));  // NOLINT: private
}

ChildProcess::ChildProcess(SpawnOptions options, const Supervision& supervision, pid_t pid,
                           int exit_fd)
    : options_(std::move(options)), supervision_(supervision), pid_(pid), exit_fd_(exit_fd) {}

ChildProcess::~ChildProcess() {
  if (!status_) kill();
  if (exit_fd_ >= 0) ::close(exit_fd_);
}

std::optional<ExitStatus> ChildProcess::exited() {
  if (status_) return status_;
  siginfo_t info{};
  // WNOWAIT leaves the leader as a zombie, so that the group's id cannot be given to another
  // process before what is left of the group has been killed.
  if (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
      info.si_pid != pid_) {
    return std::nullopt;
  }
  ::kill(-pid_, SIGKILL);
  int raw = 0;
  while (::waitpid(pid_, &raw, 0) < 0 && errno == EINTR) {
  }
  if (supervision_.guard != nullptr) supervision_.guard->remove(pid_);
  ExitStatus status;
  if (WIFSIGNALED(raw)) {
    status.signal = WTERMSIG(raw);
  } else {
    status.code = WEXITSTATUS(raw);
  }
  status_ = status;
  return status_;
}

bool ChildProcess::pause(int64_t timeout_ns, int signal_count_to_ignore) {
  if (exited()) return true;
  std::array<pollfd, 2> waits{};
  nfds_t count = 0;
  if (exit_fd_ >= 0) {
    waits[count++] = {exit_fd_, POLLIN, 0};
  } else {
    timeout_ns = std::min(timeout_ns, kExitPollNs);
  }
  SignalWatch* const signals = supervision_.signals;
  if (signals != nullptr) {
    if (signals->count() > signal_count_to_ignore) return false;
    waits[count++] = {signals->fd(), POLLIN, 0};
  }
  const timespec timeout{timeout_ns / kNsPerSecond, timeout_ns % kNsPerSecond};
  ::ppoll(waits.data(), count, &timeout, nullptr);
  return exited().has_value();
}

Result<ExitStatus> ChildProcess::wait_for_exit(int64_t timeout_ns) {
  const int64_t deadline = supervision_.clock.monotonic_ns() + timeout_ns;
  for (;;) {
    const int64_t left = deadline - supervision_.clock.monotonic_ns();
    if (pause(std::max<int64_t>(left, 0), 0)) return *status_;
    if (supervision_.signals != nullptr) RETURN_IF_ERROR(supervision_.signals->check());
    if (left <= 0) {
      return Error{ErrorCode::kTimeout,
                   options_.name + ": still running after " + format_duration(timeout_ns),
                   {}};
    }
  }
}

Status ChildProcess::wait_until(const std::function<bool()>& probe, const std::string& what,
                                int64_t timeout_ns, int64_t interval_ns) {
  const int64_t deadline = supervision_.clock.monotonic_ns() + timeout_ns;
  for (;;) {
    if (const auto status = exited()) {
      return unavailable(options_.name + ": ended with " + status->text() + " before " + what +
                         log_tail());
    }
    if (probe()) return {};
    if (supervision_.signals != nullptr) RETURN_IF_ERROR(supervision_.signals->check());
    if (supervision_.clock.monotonic_ns() >= deadline) {
      return Error{ErrorCode::kTimeout,
                   options_.name + ": not ready: waited " + format_duration(timeout_ns) + " for " +
                       what + log_tail(),
                   {}};
    }
    pause(interval_ns, 0);
  }
}

void ChildProcess::send_signal(int signal) {
  if (!exited()) ::kill(pid_, signal);
}

ChildProcess::Stop ChildProcess::stop(int64_t grace_ns) {
  if (const auto status = exited()) return {*status, false};
  const int signals_before = supervision_.signals != nullptr ? supervision_.signals->count() : 0;
  send_signal(SIGTERM);
  const int64_t deadline = supervision_.clock.monotonic_ns() + grace_ns;
  for (;;) {
    const int64_t left = deadline - supervision_.clock.monotonic_ns();
    if (pause(std::max<int64_t>(left, 0), signals_before)) return {*status_, false};
    const bool hurried =
        supervision_.signals != nullptr && supervision_.signals->count() > signals_before;
    if (left <= 0 || hurried) return {kill(), true};
  }
}

ExitStatus ChildProcess::kill() {
  if (const auto status = exited()) return *status;
  ::kill(-pid_, SIGKILL);
  const int64_t deadline = supervision_.clock.monotonic_ns() + kKillWaitNs;
  while (!pause(kNsPerSecond, INT32_MAX) && supervision_.clock.monotonic_ns() < deadline) {
  }
  if (!status_) status_ = ExitStatus{std::nullopt, SIGKILL};
  return *status_;
}

std::string ChildProcess::log_tail(size_t count) const {
  return quoted_log_tail(options_.log_path, count);
}

}  // namespace touchstone::harness
