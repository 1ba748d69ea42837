// Jaeger's query service, API v3, which `touchstone sink` speaks too. Source: Jaeger v2.13,
// internal/proto/api_v3/query_service.proto over HTTP; times are RFC 3339 with nanoseconds, both
// ends included; at most so many traces come back. Its parameters were renamed after v2.13
// (num_traces is searchDepth now), so both names are sent. Without raw_traces its answers have
// warnings as attributes and times that it thinks more likely.
#include <utility>

#include "base/clock.h"
#include "base/text.h"
#include "base/timestamp.h"
#include "harness/backends/ask.h"
#include "harness/backends/backend.h"
#include "harness/backends/seen_traces.h"
#include "harness/backends/trace_windows.h"
#include "telemetry/otlp/json.h"

namespace touchstone::harness {
namespace {

using nlohmann::json;
using Visit = std::function<Status(const telemetry::TraceBatch&)>;

constexpr int64_t kTracesMax = 500;
constexpr int64_t kLeastNs = kNsPerUs;  // storages of Jaeger's own model know microseconds
constexpr char kServices[] = "/api/v3/services";
constexpr char kTraces[] = "/api/v3/traces";

class JaegerBackend final : public SpanBackend {
 public:
  explicit JaegerBackend(BackendAddress address) : address_(std::move(address)) {}

  Result<BackendRead> read(const TimeWindow& window, const Visit& visit) override {
    const auto services = read_services();
    if (!services) return services.error();
    for (const std::string& service : *services) {
      std::vector<std::string> full;
      RETURN_IF_ERROR(for_each_window(
          window, kTracesMax, kLeastNs,
          [&](const TimeWindow& part) { return read_traces(service, part, visit); }, full));
      for (const std::string& problem : full) {
        read_.problems.push_back(address_.url + ": service " + quote(service) + ": " + problem);
      }
    }
    return std::move(read_);
  }

 private:
  Result<std::vector<std::string>> read_services() {
    const char* const expected = "{\"services\": [\u2026]}";
    const auto text = ask(address_, kServices, {});
    if (!text) return text.error();
    if (!*text) return unexpected_answer(address_, kServices, expected);
    const auto tree = parse_answer(address_, kServices, **text, expected);
    if (!tree) return tree.error();
    std::vector<std::string> names;
    if (!tree->is_object()) return unexpected_answer(address_, kServices, expected);
    const json list = tree->value("services", json::array());
    if (!list.is_array() && !list.is_null()) {
      return unexpected_answer(address_, kServices, expected);
    }
    for (const json& name : list) {
      if (name.is_string()) names.push_back(name.get<std::string>());
    }
    return names;
  }

  Result<int64_t> read_traces(const std::string& service, const TimeWindow& window,
                              const Visit& visit) {
    http::Query query;
    const auto add = [&](const char* name, const char* former, const std::string& value) {
      query.add(name, value);
      query.add(former, value);
    };
    add("query.serviceName", "query.service_name", service);
    add("query.startTimeMin", "query.start_time_min", format_utc_ns(window.start_unix_ns));
    add("query.startTimeMax", "query.start_time_max", format_utc_ns(window.end_unix_ns - 1));
    add("query.searchDepth", "query.num_traces", std::to_string(kTracesMax));
    add("query.rawTraces", "query.raw_traces", "true");
    const auto text = ask(address_, kTraces, query);
    if (!text) return text.error();
    if (!*text) return 0;  // none in this window
    const char* const expected = "{\"result\": {\"resourceSpans\": [\u2026]}}";
    const auto tree = parse_answer(address_, kTraces, **text, expected);
    if (!tree) return tree.error();
    if (!tree->is_object() || !tree->contains("result")) {
      return unexpected_answer(address_, kTraces, expected);
    }
    return hand_on((*tree)["result"].dump(-1, ' ', false, json::error_handler_t::replace), visit);
  }

  Result<int64_t> hand_on(const std::string& otlp, const Visit& visit) {
    telemetry::TraceBatch batch;
    const auto decoded = decoder_.decode(otlp, batch, [this](const std::string& problem) {
      read_.problems.push_back(address_.url + ": " + problem);
    });
    if (!decoded) return Error(decoded.error()).with_context(address_.url + kTraces);
    drop_warnings(batch);
    const int64_t traces = seen_.keep_new(batch);
    read_.spans += telemetry::span_count(batch);
    RETURN_IF_ERROR(visit(batch));
    return traces;
  }

  /// Its memory storage keeps what it wrote into spans for readers who did not ask for raw ones.
  static void drop_warnings(telemetry::TraceBatch& batch) {
    for (telemetry::ResourceSpans& group : batch) {
      for (telemetry::ScopeSpans& scoped : group.scope_spans) {
        for (telemetry::Span& span : scoped.spans) {
          std::erase_if(span.attributes,
                        [](const auto& one) { return one.key == "@jaeger@warnings"; });
        }
      }
    }
  }

  const BackendAddress address_;
  telemetry::OtlpJsonDecoder decoder_;
  SeenTraces seen_;
  BackendRead read_;
};

}  // namespace

std::unique_ptr<SpanBackend> make_jaeger_backend(const BackendAddress& address) {
  return std::make_unique<JaegerBackend>(address);
}

}  // namespace touchstone::harness
