// How far a long run is, on stderr: in place on a terminal, else a line now and then. Nothing of it
// reaches results. Thread-compatible.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/clock.h"

namespace touchstone::cli {

class Progress final {
 public:
  /// `what`: "requests", "points". `total`: of them, where that is known.
  Progress(std::string verb, std::string what, std::optional<int64_t> total);
  /// Ends the line that was begun.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void update(int64_t done);

 private:
  const std::string verb_;
  const std::string what_;
  const std::optional<int64_t> total_;
  const bool in_place_;
  const RealClock clock_;
  const int64_t start_ns_;
  int64_t next_ns_;
  size_t width_ = 0;  // of what stands on the terminal's line
};

/// "1,200 of 5,000 requests, 600/s, 6 s left".
std::string progress_text(int64_t done, std::optional<int64_t> total, const std::string& what,
                          int64_t elapsed_ns);

}  // namespace touchstone::cli
