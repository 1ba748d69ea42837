// 64-bit hashes of what spans hold, for telling equal from different in little memory and for
// samples that do not depend on the order of input. Not cryptographic. Pure; thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "telemetry/span.h"

namespace touchstone::conformance {

class Hash64 final {
 public:
  Hash64& add(uint64_t word) {
    // The finalizer of SplitMix64.
    uint64_t x = state_ ^ (word + 0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    state_ = x ^ (x >> 31);
    return *this;
  }
  Hash64& add(std::string_view text);
  template <size_t N>
  Hash64& add(const ByteId<N>& id) {
    return add(std::hash<ByteId<N>>{}(id));
  }
  Hash64& add(const telemetry::Value& value);
  Hash64& add(const telemetry::Attributes& attributes);
  /// As add(), in a third of the time: good for telling equal from different, not for a sample.
  Hash64& fold(uint64_t word);
  uint64_t value() const { return state_; }

 private:
  uint64_t state_ = 0;
};

/// Of all that a span holds.
uint64_t content_hash(const telemetry::Span& span);

}  // namespace touchstone::conformance
