// How an exporter's thread waits before it tries again. Thread-safe.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "base/clock.h"
#include "base/mutex.h"

namespace touchstone::telemetry {

/// Waits for `ns`, at most until `stop_by_ns`, which a shutdown may set meanwhile if it then
/// notifies `changed`. False: the time to stop has come. REQUIRES: `mutex` guards `stop_by_ns`.
inline bool pause_until_stop(int64_t ns, const std::optional<int64_t>& stop_by_ns,
                             const Clock& clock, Mutex& mutex, ConditionVariable& changed)
    REQUIRES(mutex) {
  const int64_t until_ns = clock.monotonic_ns() + ns;
  for (;;) {
    const int64_t now_ns = clock.monotonic_ns();
    if (stop_by_ns && now_ns >= *stop_by_ns) return false;
    if (now_ns >= until_ns) return true;
    const int64_t wake_ns = stop_by_ns ? std::min(until_ns, *stop_by_ns) : until_ns;
    const bool stopping = stop_by_ns.has_value();
    changed.wait_for(mutex, wake_ns - now_ns,
                     [&stop_by_ns, stopping] { return stop_by_ns.has_value() != stopping; });
  }
}

}  // namespace touchstone::telemetry
