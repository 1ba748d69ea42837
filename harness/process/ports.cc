#include "harness/process/ports.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <string>
#include <utility>

namespace touchstone::harness {
namespace {

// Debian's ephemeral range starts at 32768.
constexpr uint16_t kFirstPort = 21000;
constexpr uint16_t kLastPort = 32000;

bool can_bind(uint32_t address, uint16_t port) {
  const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return false;
  // As servers do: connections of a former run in TIME_WAIT do not make a port busy.
  const int on = 1;
  ::setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_port = htons(port);
  name.sin_addr.s_addr = htonl(address);
  const bool free = ::bind(descriptor, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0;
  ::close(descriptor);
  return free;
}

/// The descriptor that marks `port` as taken by a Touchstone, or -1 when another has it.
int mark(uint16_t port) {
  const int descriptor = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return -1;
  const std::string text = "touchstone-port-" + std::to_string(port);
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  std::memcpy(name.sun_path + 1, text.data(), text.size());  // leading zero: abstract
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + text.size());
  if (::bind(descriptor, reinterpret_cast<const sockaddr*>(&name), size) != 0) {
    ::close(descriptor);
    return -1;
  }
  return descriptor;
}

}  // namespace

PortReservation::~PortReservation() {
  for (const int descriptor : marks_) ::close(descriptor);
}
PortReservation::PortReservation(PortReservation&& other) noexcept
    : marks_(std::exchange(other.marks_, {})) {}
PortReservation& PortReservation::operator=(PortReservation&& other) noexcept {
  std::swap(marks_, other.marks_);
  return *this;
}

Result<uint16_t> PortReservation::take() {
  constexpr int kCount = kLastPort - kFirstPort;
  // Start somewhere else in each process, so that two rarely try the same ones.
  const int start = static_cast<int>((static_cast<int64_t>(::getpid()) * 37) % kCount);
  for (int i = 0; i < kCount; ++i) {
    const auto port = static_cast<uint16_t>(kFirstPort + (start + i) % kCount);
    const int descriptor = mark(port);
    if (descriptor < 0) continue;
    if (!port_is_busy(port)) {
      marks_.push_back(descriptor);
      return port;
    }
    ::close(descriptor);
  }
  return unavailable("ports: every port from " + std::to_string(kFirstPort) + " to " +
                     std::to_string(kLastPort) + " is in use");
}

bool port_is_busy(uint16_t port) {
  return !can_bind(INADDR_LOOPBACK, port) || !can_bind(INADDR_ANY, port);
}

}  // namespace touchstone::harness
