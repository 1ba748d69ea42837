#include "base/clock.h"

#include <chrono>

#include "base/check.h"

namespace touchstone {
namespace {

int64_t steady_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace

RealClock::RealClock()
    : unix_origin_ns_(std::chrono::duration_cast<std::chrono::nanoseconds>(
                          std::chrono::system_clock::now().time_since_epoch())
                          .count() -
                      steady_ns()) {}

int64_t RealClock::unix_ns() const { return unix_origin_ns_ + steady_ns(); }
int64_t RealClock::monotonic_ns() const { return steady_ns(); }

void VirtualClock::advance_to(int64_t time_ns) {
  BASE_CHECK(time_ns >= now_ns_, "virtual time would go back: ", now_ns_, " -> ", time_ns);
  now_ns_ = time_ns;
}

}  // namespace touchstone
