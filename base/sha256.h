// SHA-256 by OpenSSL. Thread-compatible.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace touchstone {

using Sha256Digest = std::array<uint8_t, 32>;

Sha256Digest sha256(std::string_view bytes);
/// Lower-case hex of sha256(bytes).
std::string sha256_hex(std::string_view bytes);

/// As sha256_hex(), of a file's bytes, a piece at a time. ERRORS: kNotFound, kIo.
Result<std::string> file_sha256_hex(const std::string& path);

/// Incremental form, for input that does not fit in memory.
class Sha256 final {
 public:
  Sha256();
  ~Sha256();
  void update(std::string_view bytes);
  /// The digest of everything since the last finish().
  Sha256Digest finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace touchstone
