// Grafana Tempo: a search for ids, then each trace by its id. Source: Tempo v3.0, "Tempo HTTP API";
// times are seconds; ids come without leading zeros; protobuf is asked for, because the JSON has
// ids in base64.
#include "telemetry/otlp/tempo.h"

#include <utility>

#include "base/clock.h"
#include "base/text.h"
#include "harness/backends/ask.h"
#include "harness/backends/backend.h"
#include "harness/backends/seen_traces.h"
#include "harness/backends/trace_windows.h"

namespace touchstone::harness {
namespace {

using nlohmann::json;
using Visit = std::function<Status(const telemetry::TraceBatch&)>;

constexpr int64_t kTracesMax = 200;
constexpr char kSearch[] = "/api/search";
constexpr char kTraces[] = "/api/v2/traces/";
constexpr char kExpected[] = "{\"traces\": [{\"traceID\": \u2026}]}";

class TempoBackend final : public SpanBackend {
 public:
  explicit TempoBackend(BackendAddress address) : address_(std::move(address)) {}

  Result<BackendRead> read(const TimeWindow& window, const Visit& visit) override {
    std::vector<std::string> full;
    RETURN_IF_ERROR(for_each_window(
        window, kTracesMax, kNsPerSecond,
        [&](const TimeWindow& part) { return read_window(part, window, visit); }, full));
    for (const std::string& problem : full) {
      read_.problems.push_back(address_.url + ": " + problem);
    }
    return std::move(read_);
  }

 private:
  Result<int64_t> read_window(const TimeWindow& part, const TimeWindow& all, const Visit& visit) {
    http::Query query;
    query.add("q", "{}");
    query.add("start", std::to_string(part.start_unix_ns / kNsPerSecond));
    query.add("end", std::to_string((part.end_unix_ns + kNsPerSecond - 1) / kNsPerSecond));
    query.add("limit", std::to_string(kTracesMax));
    query.add("spss", "1");
    const auto text = ask(address_, kSearch, query);
    if (!text) return text.error();
    if (!*text) return unexpected_answer(address_, kSearch, kExpected);
    const auto tree = parse_answer(address_, kSearch, **text, kExpected);
    if (!tree) return tree.error();
    if (!tree->is_object()) return unexpected_answer(address_, kSearch, kExpected);
    const json traces = tree->value("traces", json::array());
    if (!traces.is_array()) return unexpected_answer(address_, kSearch, kExpected);
    for (const json& found : traces) {
      const json id = found.is_object() ? found.value("traceID", json()) : json();
      if (!id.is_string()) return unexpected_answer(address_, kSearch, kExpected);
      RETURN_IF_ERROR(read_trace(id.get<std::string>(), all, visit));
    }
    return static_cast<int64_t>(traces.size());
  }

  Status read_trace(const std::string& text, const TimeWindow& window, const Visit& visit) {
    constexpr size_t kDigits = 32;
    const auto id = TraceId::parse(
        text.size() < kDigits ? std::string(kDigits - text.size(), '0') + text : text);
    if (!id) return unexpected_answer(address_, kSearch, kExpected);
    if (!seen_.add(*id)) return {};
    const std::string path = kTraces + id->hex();
    const auto bytes = ask(address_, path, {}, "application/protobuf");
    if (!bytes) return bytes.error();
    if (!*bytes) {
      read_.problems.push_back(address_.url + path + ": the search named it, and it is not there");
      return {};
    }
    auto trace = telemetry::decode_tempo_trace(**bytes);
    if (!trace) return Error(trace.error()).with_context(address_.url + path);
    if (trace->is_partial) {
      read_.problems.push_back(address_.url + path +
                               ": Tempo gave a part of the trace: " + trace->message);
    }
    if (!touches(trace->batch, window)) return {};
    read_.spans += telemetry::span_count(trace->batch);
    return visit(trace->batch);
  }

  /// The search finds traces by whole seconds, and those that began before.
  static bool touches(const telemetry::TraceBatch& batch, const TimeWindow& window) {
    for (const telemetry::ResourceSpans& group : batch) {
      for (const telemetry::ScopeSpans& scoped : group.scope_spans) {
        for (const telemetry::Span& span : scoped.spans) {
          if (window.contains(span.start_unix_ns)) return true;
        }
      }
    }
    return false;
  }

  const BackendAddress address_;
  SeenTraces seen_;
  BackendRead read_;
};

}  // namespace

std::unique_ptr<SpanBackend> make_tempo_backend(const BackendAddress& address) {
  return std::make_unique<TempoBackend>(address);
}

}  // namespace touchstone::harness
