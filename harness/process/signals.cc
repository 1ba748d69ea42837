#include "harness/process/signals.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace touchstone::harness {
namespace {

sigset_t watched_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGHUP);
  return set;
}

}  // namespace

Result<std::unique_ptr<SignalWatch>> SignalWatch::start() {
  const sigset_t set = watched_signals();
  if (pthread_sigmask(SIG_BLOCK, &set, nullptr) != 0) {
    return io_error(std::string("signals: cannot block: ") + std::strerror(errno));
  }
  const int descriptor = ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  if (descriptor < 0) {
    return io_error(std::string("signals: signalfd: ") + std::strerror(errno));
  }
  return std::unique_ptr<SignalWatch>(new SignalWatch(descriptor));  // NOLINT: private constructor
}

SignalWatch::~SignalWatch() {
  // What came while the run was being taken down has done its work: it must not kill us after it.
  (void)count();
  ::close(descriptor_);
  const sigset_t set = watched_signals();
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

int SignalWatch::count() {
  signalfd_siginfo info;
  while (::read(descriptor_, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    ++count_;
    name_ = info.ssi_signo == SIGINT ? "SIGINT" : info.ssi_signo == SIGHUP ? "SIGHUP" : "SIGTERM";
  }
  return count_;
}

bool SignalWatch::interrupted() { return count() > 0; }

Status SignalWatch::check() {
  if (!interrupted()) return {};
  return Error{ErrorCode::kCancelled, "interrupted by " + name_, {}};
}

}  // namespace touchstone::harness
