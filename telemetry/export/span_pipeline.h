// records::RequestRecord → spans of the chosen dialects → exporter. The one place where an engine
// or a simulator makes spans. Thread-compatible: it belongs to the thread that finishes requests.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "telemetry/dialects/dialect.h"
#include "telemetry/export/exporter.h"
#include "telemetry/export/sampler.h"
#include "telemetry/export/span_limits.h"

namespace touchstone::telemetry {

/// What of it is sent.
struct SpanPolicy {
  Sampler sampler;
  SpanLimits limits;
};

class SpanPipeline final {
 public:
  /// `exporter` is outlived: shut it down before this goes. `seed` decides every span id.
  SpanPipeline(std::vector<std::unique_ptr<Dialect>> dialects, uint64_t seed,
               SpanExporter& exporter, SpanPolicy policy = {});

  /// Never blocks. Not more than a few microseconds: see bench/telemetry_bench.cc.
  void on_request(const records::RequestRecord& record);

 private:
  const std::vector<std::unique_ptr<Dialect>> dialects_;
  SpanIds ids_;
  SpanExporter& exporter_;
  const SpanPolicy policy_;
  std::vector<Span> spans_;  // kept for its capacity
};

}  // namespace touchstone::telemetry
