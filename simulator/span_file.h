// The spans of a simulated server as a file, in the lines of the Collector's file exporter: the
// dialects that the engine has, over the records that the simulation gives. No clock and no thread;
// ids come from a seed, so equal runs give equal bytes. Thread-compatible.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/result.h"
#include "records/request_record.h"
#include "telemetry/dialects/dialect.h"

namespace touchstone::simulator {

class SpanFile final {
 public:
  /// `server`: which one of the simulation's servers; another one has other ids.
  /// ERRORS: kIo.
  static Result<std::unique_ptr<SpanFile>> open(const std::string& path, uint64_t seed,
                                                int32_t server);
  /// ERRORS: kIo.
  Status add(const records::RequestRecord& record);
  /// Writes out what is left. ERRORS: kIo.
  Status finish();

 private:
  SpanFile(std::unique_ptr<LineWriter> lines, std::unique_ptr<telemetry::Dialect> dialect,
           telemetry::Resource resource, uint64_t seed);
  Status write_batch();

  const std::unique_ptr<LineWriter> lines_;
  const std::unique_ptr<telemetry::Dialect> dialect_;
  const telemetry::Resource resource_;
  telemetry::SpanIds ids_;
  std::vector<telemetry::Span> spans_;  // of the next line
};

}  // namespace touchstone::simulator
