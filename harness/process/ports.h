// Free ports for the programs of a run. A port is taken below the kernel's ephemeral range, so
// that no outgoing connection can grab it, and is marked as ours for every other Touchstone of the
// machine by an abstract socket name, which vanishes with the process: nothing to clean up.
// Thread-compatible.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"

namespace touchstone::harness {

class PortReservation final {
 public:
  PortReservation() = default;
  ~PortReservation();
  PortReservation(PortReservation&& other) noexcept;
  PortReservation& operator=(PortReservation&& other) noexcept;

  /// A loopback port that nobody listens on. It stays marked until this object goes; the port
  /// itself is not bound, so that the program it is for can bind it.
  /// ERRORS: kUnavailable when every port of the range is taken.
  Result<uint16_t> take();

 private:
  std::vector<int> marks_;  // descriptors of the abstract sockets
};

/// True when a program listens on, or has bound, 127.0.0.1:port.
bool port_is_busy(uint16_t port);

}  // namespace touchstone::harness
