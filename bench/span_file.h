// Files of spans of any size, as the Collector writes them: what vLLM emits for a completion, over
// and over with other ids and times. The same for the same arguments, everywhere.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "telemetry/span.h"

namespace touchstone::bench {

inline constexpr int64_t kSpansOfBatch = 25;

/// A line's worth: spans `first` to `first` + kSpansOfBatch - 1 of a server.
telemetry::TraceBatch span_batch(uint64_t first);

/// Writes whole lines until the file has `bytes` or more; how many spans it then has. ERRORS: kIo.
Result<int64_t> write_span_file(const std::string& path, uint64_t bytes);

}  // namespace touchstone::bench
