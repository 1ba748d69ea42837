// Span dialects: what one request record becomes. A dialect is one file, NAME.cc, and one row of
// the table in dialect.cc; several can be on at once, each under its own instrumentation scope, so
// that profiles tell their spans apart. Dialects are pure but for the ids they draw and, where a
// span stands for several records, those that wait for the last one; thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "base/result.h"
#include "records/request_record.h"
#include "telemetry/cost/price_table.h"
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

/// What a dialect may know besides the record.
struct DialectOptions {
  std::vector<std::string> served_models = {};  ///< names that may become metric labels
  const PriceTable* prices = nullptr;  ///< null: nothing has a price; outlives the dialects
};

/// Who a span comes from: what stands above it on the wire.
struct SpanOrigin {
  Scope scope;
  std::string schema_url;
  Attributes resource;  ///< added to the process's own resource, in groups of their own
};

/// Metric families that a dialect adds to the metrics page. Thread-safe.
class DialectMetrics {
 public:
  virtual ~DialectMetrics() = default;
  virtual void on_finish(const records::RequestRecord& record) = 0;
  /// Appends whole families in the Prometheus text format.
  virtual void render(std::string& page) const = 0;
};

class Dialect {
 public:
  virtual ~Dialect() = default;
  virtual const SpanOrigin& origin() const = 0;
  /// Appends the spans of `record` to `out`; none where the dialect has none for this outcome or
  /// the caller's trace is not sampled.
  virtual void append_spans(const records::RequestRecord& record, SpanIds& ids,
                            std::vector<Span>& out) const = 0;
  /// Null: none. `created_unix_ns` is when the process began.
  virtual std::unique_ptr<DialectMetrics> make_metrics(int64_t created_unix_ns) const;
};

struct DialectRow {
  std::string_view name;
  std::string_view summary;  ///< for --help and the documents
  std::unique_ptr<Dialect> (*make)(const DialectOptions& options);
};

/// All of them, the default first.
const std::vector<DialectRow>& dialect_rows();

/// "vllm" or "vllm,audit", in this order. ERRORS: kInvalidArgument, listing the names, for an
/// unknown one, one that comes twice, and an empty list.
Result<std::vector<std::unique_ptr<Dialect>>> make_dialects(const std::string& names,
                                                            const DialectOptions& options);

/// Rows of the table.
DialectRow vllm_dialect();
DialectRow vllm_v0_dialect();
DialectRow audit_dialect();
DialectRow phases_dialect();
DialectRow tutorial_dialect();
DialectRow genai_dialect();
DialectRow http_dialect();

}  // namespace touchstone::telemetry
