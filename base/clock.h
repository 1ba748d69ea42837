// Time as an interface: the real clock is made in main, the virtual one in simulator and tests.
// All times are int64 nanoseconds.
#pragma once

#include <cstdint>

namespace touchstone {

inline constexpr int64_t kNsPerUs = 1'000;
inline constexpr int64_t kNsPerMs = 1'000'000;
inline constexpr int64_t kNsPerSecond = 1'000'000'000;

constexpr double to_seconds(int64_t ns) {
  return static_cast<double>(ns) / static_cast<double>(kNsPerSecond);
}

/// Thread-safe unless an implementation says otherwise.
class Clock {
 public:
  virtual ~Clock() = default;
  /// Nanoseconds since the Unix epoch; may step.
  virtual int64_t unix_ns() const = 0;
  /// Nanoseconds since an arbitrary origin; never goes back.
  virtual int64_t monotonic_ns() const = 0;
};

/// The machine's clocks. unix_ns() is the wall clock at construction plus monotonic progress, so
/// that both agree on every duration of one process.
class RealClock final : public Clock {
 public:
  RealClock();
  int64_t unix_ns() const override;
  int64_t monotonic_ns() const override;

 private:
  int64_t unix_origin_ns_;  // unix time at monotonic 0
};

/// Moves only when told. Thread-compatible.
class VirtualClock final : public Clock {
 public:
  explicit VirtualClock(int64_t unix_origin_ns = 0) : unix_origin_ns_(unix_origin_ns) {}
  int64_t unix_ns() const override { return unix_origin_ns_ + now_ns_; }
  int64_t monotonic_ns() const override { return now_ns_; }
  /// REQUIRES: time_ns >= monotonic_ns().
  void advance_to(int64_t time_ns);

 private:
  int64_t unix_origin_ns_;
  int64_t now_ns_ = 0;
};

}  // namespace touchstone
