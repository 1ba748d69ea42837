// The HTTP server's span between the client's and the engine's, one for each request, named as
// FastAPI's instrumentation names it. Source: OpenTelemetry semantic conventions 1.23.0 (the first
// stable ones), http/http-spans.md, "HTTP server". It begins with the whole request and ends with
// the engine's last word; who the client is (address, user agent) is left out.
#include <utility>

#include "telemetry/dialects/request_group.h"
#include "telemetry/dialects/request_span.h"

namespace touchstone::telemetry {
namespace {

constexpr int64_t kFirstServerError = 500;

class HttpDialect final : public Dialect {
 public:
  const SpanOrigin& origin() const override { return origin_; }

  void append_spans(const records::RequestRecord& record, SpanIds& ids,
                    std::vector<Span>& out) const override {
    if (is_unsampled(record) || !record.http_span_id) return;
    const auto group = groups_.add(record);
    if (!group) return;
    Span span = request_span(group->record, "POST " + record.endpoint, ids);
    span.kind = SpanKind::kServer;
    span.span_id = *record.http_span_id;
    span.parent_span_id = record.caller_span_id.value_or(SpanId{});
    if (record.caller_span_id) span.flags |= kFlagIsRemote;
    span.attributes = {{"http.request.method", "POST"},
                       {"url.scheme", "http"},
                       {"url.path", record.endpoint},
                       {"http.route", record.endpoint},
                       {"http.response.status_code", group->record.http_status}};
    // A client's error is none of the server's.
    if (group->record.http_status >= kFirstServerError) {
      span.attributes.push_back({"error.type", Value(std::to_string(group->record.http_status))});
      span.status = StatusCode::kError;
    }
    out.push_back(std::move(span));
  }

 private:
  mutable RequestGroups groups_;
  const SpanOrigin origin_ = {.scope = {"touchstone.http", "1", {}},
                              .schema_url = "https://opentelemetry.io/schemas/1.23.0",
                              .resource = {}};
};

}  // namespace

DialectRow http_dialect() {
  return {"http", "the HTTP server's span, which the others' hang under",
          [](const DialectOptions&) -> std::unique_ptr<Dialect> {
            return std::make_unique<HttpDialect>();
          }};
}

}  // namespace touchstone::telemetry
