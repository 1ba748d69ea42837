// records::RequestRecord → spans of the chosen dialects → exporter. The one place where an engine
// or a simulator makes spans. Thread-compatible: it belongs to the thread that finishes requests.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "telemetry/dialects/dialect.h"
#include "telemetry/export/exporter.h"

namespace touchstone::telemetry {

class SpanPipeline final {
 public:
  /// `exporter` is outlived: shut it down before this goes. `seed` decides every span id.
  SpanPipeline(std::vector<std::unique_ptr<Dialect>> dialects, uint64_t seed,
               SpanExporter& exporter);

  /// Never blocks. Not more than a few microseconds: see bench/telemetry_bench.cc.
  void on_request(const records::RequestRecord& record);

 private:
  const std::vector<std::unique_ptr<Dialect>> dialects_;
  SpanIds ids_;
  SpanExporter& exporter_;
  std::vector<Span> spans_;  // kept for its capacity
};

}  // namespace touchstone::telemetry
