// A TCP proxy between two parts of a run that can be made to fail as networks do. It knows no
// protocol: bytes pass as they come, in order, both ways. One thread of its own. The public
// functions are thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace touchstone::harness {

/// What a wire does to what passes. The default passes everything at once.
struct WireFault {
  bool refuse = false;      ///< nobody listens: connections are cut and new ones refused
  bool half_open = false;   ///< bytes of either side are taken and never arrive; nobody is told
  int64_t latency_ns = 0;   ///< each way
  int64_t bytes_per_s = 0;  ///< of a connection, each way; 0: no limit
  int64_t reset_after_bytes = 0;    ///< a connection is reset after so many, both ways; 0: never
  int64_t corrupt_every_bytes = 0;  ///< of what goes to the server one in so many is inverted
  uint16_t divert_port = 0;  ///< connections are cut and new ones go there; 0: where they belong
  bool operator==(const WireFault&) const = default;
};

struct WireCounters {
  int64_t connections = 0;  ///< accepted
  int64_t cut = 0;          ///< of these, ended by a fault
  int64_t corrupted_bytes = 0;
};

class Wire final {
 public:
  /// Listens on each of `ports` of 127.0.0.1, a lane each; `clock` outlives it. ERRORS:
  /// kUnavailable naming a port that is taken.
  static Result<std::unique_ptr<Wire>> start(const std::vector<uint16_t>& ports,
                                             const Clock& clock);
  /// Cuts what still passes.
  ~Wire();
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;

  /// New connections to the lane go to 127.0.0.1:`target`; until it is said nobody is there.
  void route(size_t lane, uint16_t target);
  /// In force when it returns, also for connections that are open. ERRORS: kUnavailable when a port
  /// that was given up for a while cannot be had again.
  Status set(const WireFault& fault);
  WireCounters counters() const;

 private:
  class Impl;
  explicit Wire(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace touchstone::harness
