// The spans of a widespread tutorial's self-written server: `inference.request` with
// `inference.tokenize`, `inference.prefill` and `inference.decode` under it, `llm.*` keys, and the
// cost of the request. No convention has these keys. Source: the tutorial's text (2024), schema URL
// 1.24.0 as there; kinds, events and failed requests' spans are ours, where it says nothing.
#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "records/answering_model.h"
#include "telemetry/cost/billed_usage.h"
#include "telemetry/cost/price_table.h"
#include "telemetry/dialects/request_span.h"

namespace touchstone::telemetry {
namespace {

using records::RequestRecord;

double milliseconds(int64_t from_ns, int64_t to_ns) {
  return static_cast<double>(to_ns - from_ns) / static_cast<double>(kNsPerMs);
}

void add_root_attributes(const RequestRecord& record, const PriceTable* prices, Span& root) {
  const auto add = [&](const char* key, Value value) {
    root.attributes.push_back({key, std::move(value)});
  };
  add("llm.model", records::answering_model(record));
  add("llm.request_id", record.request_id);
  if (record.max_tokens) add("llm.max_tokens", *record.max_tokens);
  if (record.temperature) add("llm.temperature", *record.temperature);
  if (!record.tenant.empty()) add("llm.user", record.tenant);
  add("llm.prompt_tokens", record.prompt_tokens);
  add("llm.completion_tokens", record.completion_tokens);
  add("llm.total_tokens", record.prompt_tokens + record.completion_tokens);
  const auto price = prices == nullptr ? std::nullopt : prices->find(record.model, record.adapter);
  if (price) {
    add("llm.estimated_cost_usd", cost_of(*price, billed_usage(record)).usd());
  }
  add("llm.trace_id", root.trace_id.hex());
}

class TutorialDialect final : public Dialect {
 public:
  explicit TutorialDialect(const DialectOptions& options) : prices_(options.prices) {}

  const SpanOrigin& origin() const override { return origin_; }

  void append_spans(const RequestRecord& record, SpanIds& ids,
                    std::vector<Span>& out) const override {
    if (is_unsampled(record)) return;
    Span root = request_span(record, "inference.request", ids);
    root.kind = SpanKind::kServer;
    add_root_attributes(record, prices_, root);
    if (record.first_token_ns) {
      root.events.push_back({.time_unix_ns = unix_ns_of(record, *record.first_token_ns),
                             .name = "first_token",
                             .attributes = {}});
    }
    if (is_failure(record)) {
      root.attributes.push_back({"error.type", Value(error_type(record))});
      root.status = StatusCode::kError;
    }
    std::vector<Span> children = phases(record, root, ids);
    out.push_back(std::move(root));
    for (Span& child : children) out.push_back(std::move(child));
  }

 private:
  /// Of what was reached. They do not tile the root: waiting is no phase of the tutorial's.
  static std::vector<Span> phases(const RequestRecord& record, const Span& root, SpanIds& ids) {
    std::vector<Span> spans;
    const auto child = [&](const char* name, int64_t start_ns, int64_t end_ns) -> Span& {
      return spans.emplace_back(
          child_span(root, record, name, start_ns, std::max(start_ns, end_ns), ids));
    };
    if (record.tokenize_ns && record.queued_ns) {
      Span& tokenize = child("inference.tokenize", record.arrival_ns,
                             std::min(record.arrival_ns + *record.tokenize_ns, *record.queued_ns));
      tokenize.attributes = {{"llm.prompt_tokens", record.prompt_tokens},
                             {"llm.prompt_length_chars", record.prompt_characters.value_or(0)}};
    }
    if (!record.first_scheduled_ns) return spans;
    const int64_t prefilled_ns = record.first_token_ns.value_or(record.finished_ns);
    child("inference.prefill", *record.first_scheduled_ns, prefilled_ns).attributes = {
        {"llm.prefill_latency_ms", milliseconds(*record.first_scheduled_ns, prefilled_ns)},
        {"llm.prompt_tokens", record.prompt_tokens}};
    if (!record.first_token_ns) return spans;
    const int64_t decoded_ns = record.last_token_ns.value_or(record.finished_ns);
    child("inference.decode", *record.first_token_ns, decoded_ns).attributes = {
        {"llm.completion_tokens", record.completion_tokens},
        {"llm.decode_latency_ms", milliseconds(*record.first_token_ns, decoded_ns)}};
    return spans;
  }

  const PriceTable* const prices_;
  const SpanOrigin origin_ = {.scope = {"vllm.inference", "", {}},
                              .schema_url = "https://opentelemetry.io/schemas/1.24.0",
                              .resource = {}};
};

}  // namespace

DialectRow tutorial_dialect() {
  return {"tutorial", "inference.request with tokenize, prefill and decode, llm.* keys and cost",
          [](const DialectOptions& options) -> std::unique_ptr<Dialect> {
            return std::make_unique<TutorialDialect>(options);
          }};
}

}  // namespace touchstone::telemetry
