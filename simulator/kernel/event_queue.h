// The event queue of virtual time: ordered by (time, priority, sequence), with a fingerprint of all
// events that were taken. Thread-compatible; allocates only while it grows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace touchstone::simulator {

/// What happens at one instant happens in this order; kernel/priorities.h gives the reasons.
enum class EventKind : uint8_t {
  kStepEnd,
  kAbort,
  kArrival,
  kDelivery,
  kStepStart,
  kReplicaDown,
  kReplicaUp,
  kAutoscale
};

struct Event {
  int64_t time_ns = 0;
  EventKind kind = EventKind::kStepEnd;
  /// Where it happens; 0 for an arrival, which is yet to be routed, -1 in front of the router.
  int32_t replica = 0;
  uint64_t sequence = 0;  ///< order of creation: the last tie-break
  /// The request of an arrival, a delivery or an abort; of a step, how often its replica had crashed before.
  uint64_t subject = 0;
  bool operator==(const Event&) const = default;
};

class EventQueue final {
 public:
  /// REQUIRES: time_ns >= now_ns().
  void push(int64_t time_ns, EventKind kind, int32_t replica, uint64_t subject);
  bool empty() const { return heap_.empty(); }
  /// Takes the next event and moves virtual time to it. REQUIRES: !empty().
  Event pop();

  int64_t now_ns() const { return now_ns_; }
  int64_t events() const { return events_; }
  /// Equal for equal sequences of taken events, each with its time, kind, replica and subject
  /// (INV-8).
  uint64_t fingerprint() const { return fingerprint_; }

 private:
  std::vector<Event> heap_;
  int64_t now_ns_ = 0;
  int64_t events_ = 0;
  uint64_t next_sequence_ = 0;
  uint64_t fingerprint_ = 0;
};

}  // namespace touchstone::simulator
