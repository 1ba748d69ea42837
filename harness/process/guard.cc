#include "harness/process/guard.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>

namespace touchstone::harness {
namespace {

constexpr int kAdd = 1;
constexpr int kRemove = 2;
constexpr size_t kGroupsMax = 64;

struct Message {
  int operation;
  pid_t group;
};

/// Only async-signal-safe calls: the process was forked and will never exec.
[[noreturn]] void guard_main(int descriptor) {
  ::setsid();  // Ctrl-C in the terminal is the parent's business
  ::prctl(PR_SET_NAME, "touchstone-grd");
  signal(SIGTERM, SIG_IGN);
  signal(SIGINT, SIG_IGN);
  signal(SIGHUP, SIG_IGN);
  // Standard streams too: a reader of the parent's output must see its end when the parent is gone.
  const int null = ::open("/dev/null", O_RDWR);
  for (int fd = 0; fd < 3 && null >= 0; ++fd) ::dup2(null, fd);
  for (int fd = 3; fd < 1024; ++fd) {
    if (fd != descriptor) ::close(fd);
  }
  std::array<pid_t, kGroupsMax> groups{};
  for (;;) {
    Message message{};
    const ssize_t got = ::read(descriptor, &message, sizeof message);
    if (got < 0 && errno == EINTR) continue;
    if (got != static_cast<ssize_t>(sizeof message)) break;
    for (pid_t& slot : groups) {
      const pid_t wanted = message.operation == kAdd ? 0 : message.group;
      if (slot != wanted) continue;
      slot = message.operation == kAdd ? message.group : 0;
      break;
    }
  }
  for (const pid_t group : groups) {
    if (group > 1) ::kill(-group, SIGKILL);
  }
  ::_exit(0);
}

}  // namespace

Result<std::unique_ptr<ProcessGuard>> ProcessGuard::start() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    return io_error(std::string("guard process: pipe: ") + std::strerror(errno));
  }
  const pid_t pid = ::fork();
  if (pid < 0) {
    const int code = errno;
    ::close(ends[0]);
    ::close(ends[1]);
    return io_error(std::string("guard process: fork: ") + std::strerror(code));
  }
  if (pid == 0) guard_main(ends[0]);
  ::close(ends[0]);
  return std::unique_ptr<ProcessGuard>(
      new ProcessGuard(pid, ends[1]));  // NOLINT: private constructor
}

ProcessGuard::~ProcessGuard() {
  ::close(descriptor_);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

void ProcessGuard::send(int operation, pid_t group) {
  const Message message{operation, group};
  // Smaller than PIPE_BUF: written whole or not at all. A dead guard is no reason to stop a run;
  // SIGPIPE would be, so it is held back around the write.
  sigset_t pipe_signal;
  sigset_t former;
  sigemptyset(&pipe_signal);
  sigaddset(&pipe_signal, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe_signal, &former);
  if (::write(descriptor_, &message, sizeof message) < 0 && errno == EPIPE) {
    const timespec none{};
    sigtimedwait(&pipe_signal, nullptr, &none);
  }
  pthread_sigmask(SIG_SETMASK, &former, nullptr);
}

void ProcessGuard::add(pid_t group) { send(kAdd, group); }
void ProcessGuard::remove(pid_t group) { send(kRemove, group); }

}  // namespace touchstone::harness
