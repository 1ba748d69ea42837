// Files of spans as the Collector's file exporter writes them: JSON lines, plain, .gz or .zst
// (told by their first bytes, not by the name). One line is held at a time, so memory is bounded by
// the longest line at any size of file. Thread-compatible.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "telemetry/otlp/byte_source.h"
#include "telemetry/span.h"

namespace touchstone::telemetry {

struct OtlpFileOptions {
  size_t line_bytes_max = size_t{64} << 20;  ///< OTLP's recommended limit of a request
  size_t problems_max = 1000;                ///< messages kept; all are counted
  FileBytes::Digest digest = FileBytes::Digest::kNone;
};

/// What was read, and everything that was not.
struct OtlpFileSummary {
  int64_t lines = 0;  ///< not blank; a torn one too
  int64_t spans = 0;
  int64_t other_signal_lines = 0;  ///< metrics, logs or profiles
  int64_t problem_count = 0;
  /// `file:line: problem` or `file:line: place in the JSON: problem`. A problem at a place costs
  /// the span there; one of a whole line costs the line.
  std::vector<std::string> problems;
  /// `file:line: …` when the bytes end inside a line, as they do in a file that is being written.
  /// Not among `problems`; everything before it was read. Empty: none.
  std::string torn_tail;
  std::string sha256;  ///< of the file as it lies there, in hex, if asked for
};

/// The spans of one line. `batch` may be moved from or changed: what it still holds when the
/// visitor returns is filled again by the next line, without allocating, and nothing of it is valid
/// any more.
using OtlpVisitor = std::function<Status(TraceBatch& batch, int64_t line)>;

/// Visits each line of traces in order; stops at the visitor's first error.
/// ERRORS: kNotFound, kIo, or what `visit` returned. Bad content is never an error: lines that are
/// no JSON, not UTF-8, no OTLP or too long, bad fields and a damaged archive are `problems`.
Result<OtlpFileSummary> read_otlp_file(const std::string& path, const OtlpVisitor& visit,
                                       const OtlpFileOptions& options = {});
/// The same from any bytes; `name` stands for the path in messages.
Result<OtlpFileSummary> read_otlp_lines(ByteSource& source, const std::string& name,
                                        const OtlpVisitor& visit,
                                        const OtlpFileOptions& options = {});

struct OtlpFile {
  TraceBatch batch;  ///< of all lines
  OtlpFileSummary summary;
};
/// All at once, for files that are known to be small.
Result<OtlpFile> read_otlp_file(const std::string& path, const OtlpFileOptions& options = {});

}  // namespace touchstone::telemetry
