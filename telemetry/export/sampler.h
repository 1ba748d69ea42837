// Which requests have spans: the samplers of the OpenTelemetry SDK specification (v1.50,
// trace/sdk.md, "Sampling"). Pure; thread-safe.
#pragma once

#include <cstdint>
#include <optional>

#include "base/environment.h"
#include "base/result.h"
#include "records/request_record.h"

namespace touchstone::telemetry {

class Sampler final {
 public:
  /// parentbased_always_on.
  Sampler() = default;
  /// OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG. ERRORS: kInvalidArgument for a sampler that
  /// is not in the specification or lives elsewhere (jaeger_remote, xray), and for a ratio outside
  /// of 0 to 1.
  static Result<Sampler> from(const Environment& environment);

  /// The record as dialects shall see it: its trace context says sampled exactly where spans are
  /// wanted. Nullopt: no span of it, whatever the caller says. A request that begins a trace gets
  /// its id here where the decision depends on it, the same for all its choices.
  std::optional<records::RequestRecord> decide(const records::RequestRecord& record) const;
  /// Whether decide() gives every record back as it is.
  bool is_default() const { return parent_based_ && root_ == Rule::kOn; }

 private:
  enum class Rule { kOn, kOff, kRatio };
  bool takes(const TraceId& id) const;

  bool parent_based_ = true;
  Rule root_ = Rule::kOn;
  uint64_t bound_ = 0;  // of the trace id's lower half, for kRatio; all ones: every one
};

}  // namespace touchstone::telemetry
