#include "simulator/kernel/event_queue.h"

#include <algorithm>

#include "base/check.h"
#include "simulator/kernel/priorities.h"

namespace touchstone::simulator {
namespace {

constexpr bool priorities_follow_the_enum() {
  for (size_t i = 0; i < kPriorities.size(); ++i) {
    if (static_cast<size_t>(kPriorities[i].kind) != i) return false;
  }
  return true;
}
static_assert(priorities_follow_the_enum(), "EventKind's values are the priorities");

bool later(const Event& a, const Event& b) {
  if (a.time_ns != b.time_ns) return a.time_ns > b.time_ns;
  if (a.kind != b.kind) return a.kind > b.kind;
  return a.sequence > b.sequence;
}

uint64_t mix(uint64_t state, uint64_t word) {
  state = (state ^ word) * 0x9fb21c651e98df25u;
  return state ^ (state >> 32);
}

}  // namespace

void EventQueue::push(int64_t time_ns, EventKind kind, int32_t replica, uint64_t subject) {
  BASE_CHECK(time_ns >= now_ns_, "INV-8: an event at ", time_ns, " ns, now is ", now_ns_, " ns");
  heap_.push_back({time_ns, kind, replica, next_sequence_++, subject});
  std::push_heap(heap_.begin(), heap_.end(), later);
}

Event EventQueue::pop() {
  BASE_CHECK(!heap_.empty());
  std::pop_heap(heap_.begin(), heap_.end(), later);
  const Event event = heap_.back();
  heap_.pop_back();
  now_ns_ = event.time_ns;
  ++events_;
  fingerprint_ = mix(fingerprint_, static_cast<uint64_t>(event.time_ns));
  // Kind and replica have a half of the word each: no field loses a bit.
  fingerprint_ = mix(
      fingerprint_, static_cast<uint64_t>(event.kind) << 32 | static_cast<uint32_t>(event.replica));
  fingerprint_ = mix(fingerprint_, event.subject);
  return event;
}

}  // namespace touchstone::simulator
