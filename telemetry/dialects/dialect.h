// Span dialects: what spans one records::RequestRecord becomes. A dialect is one file,
// dialect_NAME.cc, and one row of the table in dialect.cc. Dialects are pure but for the ids they
// draw; thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "base/result.h"
#include "records/request_record.h"
#include "telemetry/span.h"

namespace touchstone::telemetry {

/// Random, never zero, reproducible from its seed. Thread-compatible.
class SpanIds final {
 public:
  explicit SpanIds(uint64_t seed) : stream_(seed, "span ids") {}
  TraceId next_trace_id();
  SpanId next_span_id();

 private:
  RandomStream stream_;
};

struct Dialect {
  std::string_view name;
  std::string_view summary;  ///< for --help and the documents
  Scope scope;
  /// Appends the spans of `record` to `out`; none where the dialect has none for this outcome or
  /// the caller's trace is not sampled.
  void (*append_spans)(const records::RequestRecord& record, SpanIds& ids, std::vector<Span>& out);
};

const std::vector<Dialect>& dialects();

/// Valid for the whole program. ERRORS: kInvalidArgument that lists the names.
Result<const Dialect*> find_dialect(const std::string& name);

/// Rows of the table.
Dialect vllm_dialect();

}  // namespace touchstone::telemetry
