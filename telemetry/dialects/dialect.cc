#include "telemetry/dialects/dialect.h"

#include <algorithm>

#include "base/random_ids.h"
#include "base/text.h"

namespace touchstone::telemetry {
namespace {

Error unknown_dialect(const std::string& name) {
  std::vector<std::string> names;
  for (const DialectRow& row : dialect_rows()) names.emplace_back(row.name);
  const auto guess = nearest(name, names);
  return invalid_argument(
      "span dialect: got " + quote(name) + ", expected one or several of: " + join(names, ", "),
      guess ? "did you mean " + quote(*guess) + "?" : "");
}

}  // namespace

TraceId SpanIds::next_trace_id() { return draw_id<TraceId>(stream_); }
SpanId SpanIds::next_span_id() { return draw_id<SpanId>(stream_); }

std::unique_ptr<DialectMetrics> Dialect::make_metrics(int64_t /*created_unix_ns*/) const {
  return nullptr;
}

const std::vector<DialectRow>& dialect_rows() {
  static const std::vector<DialectRow> kRows = {
      vllm_dialect(),     vllm_v0_dialect(), audit_dialect(), phases_dialect(),
      tutorial_dialect(), genai_dialect(),   http_dialect()};
  return kRows;
}

Result<std::vector<std::unique_ptr<Dialect>>> make_dialects(const std::string& names,
                                                            const DialectOptions& options) {
  std::vector<std::unique_ptr<Dialect>> made;
  std::vector<std::string> seen;
  for (const std::string& item : split(names, ',')) {
    const std::string name(trim(item));
    if (std::find(seen.begin(), seen.end(), name) != seen.end()) {
      return invalid_argument("span dialect: got " + quote(name) + " twice, expected each once");
    }
    seen.push_back(name);
    const auto& rows = dialect_rows();
    const auto row = std::find_if(rows.begin(), rows.end(),
                                  [&](const DialectRow& each) { return each.name == name; });
    if (row == rows.end()) return unknown_dialect(name);
    made.push_back(row->make(options));
  }
  return made;
}

}  // namespace touchstone::telemetry
