// Lines to a descriptor whose reader may stall: a line waits for room for a moment only, and
// whoever writes stays free to end. Thread-safe.
#pragma once

#include <string>

#include "base/mutex.h"

namespace touchstone::server {

class LineOutput final {
 public:
  /// `descriptor` stays the caller's.
  explicit LineOutput(int descriptor) : descriptor_(descriptor) {}

  /// Writes `line`, shortened to 4096 bytes, as one line. Waits at most 100 ms for room; false when
  /// there was none and nothing was written. A reader that has gone takes everything.
  bool write(const std::string& line);

 private:
  const int descriptor_;
  Mutex mutex_;  // held while writing, never while waiting for room
};

}  // namespace touchstone::server
