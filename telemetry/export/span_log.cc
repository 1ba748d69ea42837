#include "telemetry/export/span_log.h"

#include <utility>

#include "base/clock.h"
#include "base/json_text.h"
#include "base/text.h"

namespace touchstone::telemetry {
namespace {

void append_value(const Value& value, JsonText& json) {
  if (const auto* text = value.string()) {
    json.string(*text);
  } else if (const auto* integer = value.integer()) {
    json.integer(*integer);
  } else if (const auto* number = value.number()) {
    json.number(*number);
  } else if (const auto* flag = std::get_if<bool>(&value.data)) {
    json.boolean(*flag);
  } else if (const auto* items = std::get_if<Value::Array>(&value.data)) {
    json.begin_array();
    for (const Value& item : *items) append_value(item, json);
    json.end_array();
  } else {
    json.string(value.text());
  }
}

const char* status_word(StatusCode status) {
  switch (status) {
    case StatusCode::kOk:
      return "OK";
    case StatusCode::kError:
      return "ERROR";
    case StatusCode::kUnset:
      break;
  }
  return "UNSET";
}

}  // namespace

std::string span_log_line(const Span& span, const std::string& service) {
  std::string line;
  JsonText json(line);
  json.begin_object();
  json.key("trace_id").string(span.trace_id.hex()).key("span_id").string(span.span_id.hex());
  json.key("parent_span_id");
  if (span.parent_span_id.is_valid()) {
    json.string(span.parent_span_id.hex());
  } else {
    json.raw("null");
  }
  json.key("name").string(span.name);
  json.key("start_time_ns").integer(span.start_unix_ns);
  json.key("end_time_ns").integer(span.end_unix_ns);
  const double milliseconds =
      static_cast<double>(span.end_unix_ns - span.start_unix_ns) / static_cast<double>(kNsPerMs);
  json.key("duration_ms").raw(format_fixed(milliseconds, 3));
  json.key("attributes").begin_object();
  for (const KeyValue& entry : span.attributes) {
    json.escaped_key(entry.key);
    append_value(entry.value, json);
  }
  json.end_object();
  json.key("status").string(status_word(span.status)).key("service").string(service);
  json.end_object();
  return line;
}

Result<std::unique_ptr<SpanExporter>> SpanLog::open(const std::string& path,
                                                    const Resource& resource,
                                                    std::unique_ptr<SpanExporter> next) {
  auto lines = LineWriter::open(path == "-" ? "/dev/stdout" : path);
  if (!lines) return std::move(lines).error();
  const Value* service = find(resource.attributes, "service.name");
  std::unique_ptr<SpanExporter> log = std::make_unique<SpanLog>(
      *std::move(lines), service == nullptr ? "" : service->text(), std::move(next));
  return log;
}

SpanLog::SpanLog(std::unique_ptr<LineWriter> lines, std::string service,
                 std::unique_ptr<SpanExporter> next)
    : service_(std::move(service)), next_(std::move(next)), lines_(std::move(lines)) {}

void SpanLog::write(const Span& span) {
  const MutexLock lock(mutex_);
  Status written = lines_ ? lines_->write(span_log_line(span, service_)) : Status();
  if (lines_ && written) return;
  ++lost_;
  if (!lines_) return;
  problem_ = written.error().message + "; nothing more is written there";
  lines_.reset();
}

void SpanLog::submit(const SpanOrigin& origin, Span span) {
  write(span);
  if (next_) next_->submit(origin, std::move(span));
}

void SpanLog::submit_all(const SpanOrigin& origin, std::vector<Span>& spans) {
  for (const Span& span : spans) write(span);
  {
    const MutexLock lock(mutex_);
    if (Status flushed = lines_ ? lines_->flush() : Status(); !flushed) {
      problem_ = flushed.error().message + "; nothing more is written there";
      lines_.reset();
    }
  }
  if (next_) next_->submit_all(origin, spans);
}

ExporterCounters SpanLog::counters() const {
  ExporterCounters counters = next_ ? next_->counters() : ExporterCounters();
  const MutexLock lock(mutex_);
  if (!problem_.empty()) {
    counters.last_problem = problem_;
    counters.failed_attempts += lost_ + 1;
  }
  return counters;
}

bool SpanLog::shutdown(int64_t timeout_ns) {
  const bool sent = !next_ || next_->shutdown(timeout_ns);
  const MutexLock lock(mutex_);
  if (lines_) {
    const Status closed = lines_->close();
    if (!closed) problem_ = closed.error().message;
    lines_.reset();
  }
  return sent && problem_.empty();
}

}  // namespace touchstone::telemetry
