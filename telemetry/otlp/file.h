// Files of spans as the Collector's file exporter writes them: JSON lines, plain, .gz or .zst
// (told by their first bytes, not by the name). Memory is bounded by the longest line.
// Thread-compatible.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "telemetry/span.h"

namespace touchstone::telemetry {

struct OtlpFileOptions {
  size_t line_bytes_max = size_t{64} << 20;  ///< OTLP's recommended limit of a request
  size_t problems_max = 1000;                ///< messages kept; all are counted
};

/// What was read, and everything that was not.
struct OtlpFileSummary {
  int64_t lines = 0;  ///< not blank
  int64_t spans = 0;
  int64_t other_signal_lines = 0;  ///< metrics or logs
  int64_t problem_count = 0;
  /// `file:line: problem`. A line with a problem yields no span at all.
  std::vector<std::string> problems;
};

/// Calls `visit` with the spans of each good line, in order; stops at its first error.
/// ERRORS: kNotFound, kIo, or what `visit` returned. Bad content is never an error: a line that is
/// cut short, no JSON, not UTF-8 or too long, and a damaged or cut archive, are `problems`.
Result<OtlpFileSummary> read_otlp_file(const std::string& path,
                                       const std::function<Status(TraceBatch)>& visit,
                                       const OtlpFileOptions& options = {});

struct OtlpFile {
  TraceBatch batch;  ///< of all lines
  OtlpFileSummary summary;
};
Result<OtlpFile> read_otlp_file(const std::string& path, const OtlpFileOptions& options = {});

}  // namespace touchstone::telemetry
