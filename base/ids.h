// Trace and span identifiers (W3C Trace Context level 2, section 3.2) and hex.
// Values; thread-safe.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace touchstone {

/// Lower-case hex of `bytes`.
std::string to_hex(const uint8_t* bytes, size_t size);
/// Decodes exactly 2*size hex digits, either case; false leaves `out` unspecified.
bool from_hex(std::string_view hex, uint8_t* out, size_t size);

template <size_t N>
struct ByteId {
  std::array<uint8_t, N> bytes{};

  auto operator<=>(const ByteId&) const = default;
  /// All zero means "no id" in W3C Trace Context and OTLP.
  bool is_valid() const { return bytes != std::array<uint8_t, N>{}; }
  std::string hex() const { return to_hex(bytes.data(), N); }
  /// nullopt unless `text` is exactly 2N hex digits.
  static std::optional<ByteId> parse(std::string_view text) {
    ByteId id;
    if (!from_hex(text, id.bytes.data(), N)) {
      return std::nullopt;
    }
    return id;
  }
};

using TraceId = ByteId<16>;
using SpanId = ByteId<8>;

}  // namespace touchstone

template <size_t N>
struct std::hash<touchstone::ByteId<N>> {
  size_t operator()(const touchstone::ByteId<N>& id) const {
    return std::hash<std::string_view>{}(
        {reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size()});
  }
};
