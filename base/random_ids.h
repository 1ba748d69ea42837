// Trace and span ids drawn from a seeded stream: the same on every machine. Thread-compatible.
#pragma once

#include "base/ids.h"
#include "base/random.h"

namespace touchstone {

/// A TraceId or SpanId that is valid: each eight bytes are a number of the stream, little-endian.
template <typename Id>
Id draw_id(RandomStream& stream) {
  Id id;
  do {
    for (size_t i = 0; i < id.bytes.size(); i += 8) {
      const uint64_t word = stream.next();
      for (size_t j = 0; j < 8; ++j) id.bytes[i + j] = static_cast<uint8_t>(word >> (8 * j));
    }
  } while (!id.is_valid());
  return id;
}

}  // namespace touchstone
