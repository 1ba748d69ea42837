#include "harness/backends/delivery.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "base/text.h"
#include "conformance/checks/check.h"
#include "harness/evidence.h"

namespace touchstone::harness {
namespace {

constexpr int64_t kPauseNs = kNsPerSecond / 2;

using Id = std::pair<TraceId, SpanId>;
using Keys = std::set<std::string>;

/// The spans of a run, and when they began.
struct RunSpans {
  std::map<Id, Keys> keys;
  TimeWindow window = {INT64_MAX, 0};
};

void for_each_span(const telemetry::TraceBatch& batch,
                   const std::function<void(const telemetry::Span&)>& visit) {
  for (const telemetry::ResourceSpans& group : batch) {
    for (const telemetry::ScopeSpans& scoped : group.scope_spans) {
      for (const telemetry::Span& span : scoped.spans) visit(span);
    }
  }
}

Keys keys_of(const telemetry::Span& span) {
  Keys keys;
  for (const telemetry::KeyValue& one : span.attributes) keys.insert(one.key);
  return keys;
}

Result<RunSpans> spans_of(const records::RunFolder& run) {
  RunSpans spans;
  conformance::Evidence ignored;
  RETURN_IF_ERROR(read_run_spans(run, ignored, [&](const telemetry::TraceBatch& batch) {
    for_each_span(batch, [&](const telemetry::Span& span) {
      spans.keys.try_emplace({span.trace_id, span.span_id}, keys_of(span));
      spans.window.start_unix_ns = std::min(spans.window.start_unix_ns, span.start_unix_ns);
      spans.window.end_unix_ns = std::max(spans.window.end_unix_ns, span.start_unix_ns + 1);
    });
    return Status();
  }));
  return spans;
}

/// What of the run is not there, and what is there with other keys.
struct Difference {
  std::set<Id> missing;
  std::vector<std::pair<Id, std::string>> other;  ///< with what is different
};

std::string difference_of(const Keys& sent, const Keys& found) {
  std::vector<std::string> words;
  for (const std::string& key : sent) {
    if (!found.contains(key)) words.push_back("without " + key);
  }
  for (const std::string& key : found) {
    if (!sent.contains(key)) words.push_back("with " + key);
  }
  return join(words, ", ");
}

Result<Difference> compare(const BackendAddress& address, const RunSpans& spans) {
  Difference difference;
  for (const auto& [id, keys] : spans.keys) difference.missing.insert(id);
  const auto read = kind_of(address).make(address)->read(
      spans.window, [&](const telemetry::TraceBatch& batch) -> Status {
        for_each_span(batch, [&](const telemetry::Span& span) {
          const Id id{span.trace_id, span.span_id};
          const auto sent = spans.keys.find(id);
          if (sent == spans.keys.end() || difference.missing.erase(id) == 0) return;
          const std::string words = difference_of(sent->second, keys_of(span));
          if (!words.empty()) difference.other.emplace_back(id, words);
        });
        return {};
      });
  if (!read) return read.error();
  return difference;
}

result::Place place_of(const Id& id) {
  return {.trace_id = id.first.hex(), .span_id = id.second.hex(), .request = {}, .input = {}};
}

}  // namespace

Result<result::CheckOutcome> delivered_to(const BackendAddress& address,
                                          const records::RunFolder& run, int64_t patience_ns,
                                          const Supervision& supervision) {
  if (kind_of(address).make == nullptr) {
    return invalid_argument(
        "--backend: " + address.kind + " is judged where it lies, expected another",
        "touchstone audit --backend " + address.text());
  }
  const auto spans = spans_of(run);
  if (!spans) return spans.error();
  result::CheckOutcome outcome;
  outcome.id = "backend.delivered";
  outcome.title = "Every span of the run is in " + address.kind;
  outcome.group = "completeness";
  outcome.source = "what the Collector wrote to the run's file, against " + address.text();
  conformance::Recorder recorder(outcome, nullptr);
  recorder.not_applicable("the run has no spans");
  if (!spans->keys.empty()) {
    const int64_t deadline_ns = supervision.clock.monotonic_ns() + patience_ns;
    auto difference = compare(address, *spans);
    while (difference && !difference->missing.empty() &&
           supervision.clock.monotonic_ns() < deadline_ns) {
      RETURN_IF_ERROR(pause_for(kPauseNs, supervision));
      difference = compare(address, *spans);
    }
    if (!difference) return std::move(difference).error();
    recorder.examined(static_cast<int64_t>(spans->keys.size()));
    for (const Id& id : difference->missing) {
      recorder.violation({.fold = "missing",
                          .signal = "span",
                          .subject = address.kind,
                          .message = "a span that the Collector wrote is not in " + address.text(),
                          .expected = "the span",
                          .actual = "none within " + format_duration(patience_ns),
                          .context = {{"hop", address.kind}},
                          .place = place_of(id)});
    }
    for (const auto& [id, words] : difference->other) {
      recorder.violation({.level = result::Level::kShould,
                          .fold = words,
                          .signal = "span",
                          .subject = address.kind,
                          .message = "a span came back from " + address.text() + " " + words,
                          .expected = "the attributes that it was sent with",
                          .actual = words,
                          .context = {{"hop", address.kind}},
                          .place = place_of(id)});
    }
  }
  recorder.finish();
  return outcome;
}

}  // namespace touchstone::harness
