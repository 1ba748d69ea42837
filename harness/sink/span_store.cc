#include "harness/sink/span_store.h"

#include <algorithm>

#include "base/text.h"

namespace touchstone::harness {
namespace {

using telemetry::Attributes;
using telemetry::Value;

// What containers and allocations cost beside the text, about.
constexpr int64_t kNodeBytes = 64;

int64_t bytes_of(const Attributes& attributes);

int64_t bytes_of(const Value& value) {
  auto bytes = static_cast<int64_t>(sizeof(Value));
  if (const std::string* text = value.string()) return bytes + static_cast<int64_t>(text->size());
  if (const auto* raw = std::get_if<Value::Bytes>(&value.data)) {
    return bytes + static_cast<int64_t>(raw->data.size());
  }
  if (const auto* items = std::get_if<Value::Array>(&value.data)) {
    for (const Value& item : *items) bytes += bytes_of(item);
  }
  if (const auto* map = std::get_if<Value::Map>(&value.data)) bytes += bytes_of(*map);
  return bytes;
}

int64_t bytes_of(const Attributes& attributes) {
  int64_t bytes = 0;
  for (const telemetry::KeyValue& one : attributes) {
    bytes += static_cast<int64_t>(sizeof(std::string) + one.key.size()) + bytes_of(one.value);
  }
  return bytes;
}

int64_t bytes_of(const telemetry::Span& span) {
  int64_t bytes = static_cast<int64_t>(sizeof(StoredSpan) + span.name.size() +
                                       span.trace_state.size() + span.status_message.size()) +
                  bytes_of(span.attributes) + kNodeBytes;
  for (const telemetry::Event& event : span.events) {
    bytes += static_cast<int64_t>(sizeof event + event.name.size()) + bytes_of(event.attributes);
  }
  for (const telemetry::Link& link : span.links) {
    bytes += static_cast<int64_t>(sizeof link) + bytes_of(link.attributes);
  }
  return bytes;
}

int64_t bytes_of(const SpanSource& source) {
  return static_cast<int64_t>(sizeof source) + bytes_of(source.resource.attributes) +
         bytes_of(source.scope.attributes) + kNodeBytes;
}

int64_t earliest_start(const StoredTrace& trace) {
  int64_t start = INT64_MAX;
  for (const StoredSpan& one : trace) start = std::min(start, one.span.start_unix_ns);
  return start;
}

/// The source's bytes are on the account of its first span.
std::vector<std::pair<StoredSpan, int64_t>> taken_apart(telemetry::TraceBatch batch) {
  std::vector<std::pair<StoredSpan, int64_t>> spans;
  for (telemetry::ResourceSpans& group : batch) {
    for (telemetry::ScopeSpans& scoped : group.scope_spans) {
      const auto source = std::make_shared<const SpanSource>(
          SpanSource{group.resource, group.schema_url, std::move(scoped.scope), scoped.schema_url});
      int64_t shared = bytes_of(*source);
      for (telemetry::Span& span : scoped.spans) {
        const int64_t bytes = bytes_of(span) + std::exchange(shared, 0);
        spans.emplace_back(StoredSpan{std::move(span), source}, bytes);
      }
    }
  }
  return spans;
}

}  // namespace

const std::string& SpanSource::service() const {
  static const std::string kNone;
  const Value* name = telemetry::find(resource.attributes, "service.name");
  const std::string* text = name == nullptr ? nullptr : name->string();
  return text == nullptr ? kNone : *text;
}

const Value* StoredSpan::value(const std::string& key) const {
  const Value* own = telemetry::find(span.attributes, key);
  return own != nullptr ? own : telemetry::find(source->resource.attributes, key);
}

telemetry::TraceBatch to_batch(const std::vector<StoredTrace>& traces) {
  telemetry::TraceBatch batch;
  std::unordered_map<const SpanSource*, size_t> groups;
  for (const StoredTrace& trace : traces) {
    for (const StoredSpan& one : trace) {
      const auto [place, is_new] = groups.try_emplace(one.source.get(), batch.size());
      if (is_new) {
        batch.push_back({one.source->resource,
                         one.source->resource_schema_url,
                         {{one.source->scope, one.source->scope_schema_url, {}}}});
      }
      batch[place->second].scope_spans.front().spans.push_back(one.span);
    }
  }
  return batch;
}

bool SpanQuery::matches(const StoredSpan& stored) const {
  const telemetry::Span& span = stored.span;
  const int64_t duration = span.end_unix_ns - span.start_unix_ns;
  if (service && stored.source->service() != *service) return false;
  if (name && span.name != *name) return false;
  if (start_unix_ns && span.start_unix_ns < *start_unix_ns) return false;
  if (end_unix_ns && span.start_unix_ns > *end_unix_ns) return false;
  if (duration_min_ns && duration < *duration_min_ns) return false;
  if (duration_max_ns && duration > *duration_max_ns) return false;
  return std::all_of(attributes.begin(), attributes.end(), [&](const auto& wanted) {
    const Value* value = stored.value(wanted.first);
    return value != nullptr && value->text() == wanted.second;
  });
}

Status SpanStore::add(telemetry::TraceBatch batch) {
  auto spans = taken_apart(std::move(batch));
  int64_t bytes = 0;
  for (const auto& [span, size] : spans) bytes += size;
  const auto count = static_cast<int64_t>(spans.size());
  const MutexLock lock(mutex_);
  counters_.received += count;
  const bool fits = bytes <= bytes_max_ &&
                    (full_ == WhenFull::kDropOldest || counters_.bytes + bytes <= bytes_max_);
  if (!fits) {
    counters_.refused += count;
    return unavailable("the span store is full: got " + format_count(bytes) + " more bytes of " +
                       format_count(count) + " spans, expected at most " +
                       format_count(bytes_max_) + " in all");
  }
  for (auto& [span, size] : spans) {
    const TraceId id = span.span.trace_id;
    insert(id, std::move(span), size);
  }
  make_room();
  return {};
}

void SpanStore::count_refused(int64_t spans) {
  const MutexLock lock(mutex_);
  counters_.received += spans;
  counters_.refused += spans;
}

void SpanStore::insert(const TraceId& id, StoredSpan span, int64_t bytes) {
  auto known = by_id_.find(id);
  if (known == by_id_.end()) {
    held_.push_back({id, {}, 0});
    known = by_id_.emplace(id, std::prev(held_.end())).first;
    ++counters_.traces;
  }
  Held& held = *known->second;
  held.spans.push_back(std::move(span));
  held.bytes += bytes;
  counters_.bytes += bytes;
  ++counters_.kept;
}

void SpanStore::make_room() {
  while (counters_.bytes > bytes_max_) {
    const Held& oldest = held_.front();
    counters_.bytes -= oldest.bytes;
    counters_.kept -= static_cast<int64_t>(oldest.spans.size());
    counters_.dropped += static_cast<int64_t>(oldest.spans.size());
    --counters_.traces;
    by_id_.erase(oldest.id);
    held_.pop_front();
  }
}

std::set<std::string> SpanStore::services() const {
  std::set<std::string> names;
  const MutexLock lock(mutex_);
  for (const Held& held : held_) {
    for (const StoredSpan& one : held.spans) names.insert(one.source->service());
  }
  return names;
}

std::set<std::pair<std::string, telemetry::SpanKind>> SpanStore::operations(
    const std::optional<std::string>& service) const {
  std::set<std::pair<std::string, telemetry::SpanKind>> found;
  const MutexLock lock(mutex_);
  for (const Held& held : held_) {
    for (const StoredSpan& one : held.spans) {
      if (service && one.source->service() != *service) continue;
      found.emplace(one.span.name, one.span.kind);
    }
  }
  return found;
}

std::optional<StoredTrace> SpanStore::trace(const TraceId& id) const {
  const MutexLock lock(mutex_);
  const auto known = by_id_.find(id);
  if (known == by_id_.end()) return std::nullopt;
  return known->second->spans;
}

std::vector<StoredTrace> SpanStore::traces(const SpanQuery& query) const {
  const MutexLock lock(mutex_);
  std::vector<std::pair<int64_t, const Held*>> found;
  for (const Held& held : held_) {
    const bool matches = std::any_of(held.spans.begin(), held.spans.end(),
                                     [&](const StoredSpan& one) { return query.matches(one); });
    if (matches) found.emplace_back(earliest_start(held.spans), &held);
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  if (found.size() > query.limit) found.resize(query.limit);
  std::vector<StoredTrace> copies;
  copies.reserve(found.size());
  for (const auto& [start, held] : found) copies.push_back(held->spans);
  return copies;
}

std::vector<StoredSpan> SpanStore::spans(const SpanQuery& query) const {
  const MutexLock lock(mutex_);
  std::vector<const StoredSpan*> found;
  for (const Held& held : held_) {
    for (const StoredSpan& one : held.spans) {
      if (query.matches(one)) found.push_back(&one);
    }
  }
  std::stable_sort(found.begin(), found.end(), [](const StoredSpan* a, const StoredSpan* b) {
    return a->span.start_unix_ns > b->span.start_unix_ns;
  });
  if (found.size() > query.limit) found.resize(query.limit);
  std::vector<StoredSpan> copies;
  copies.reserve(found.size());
  for (const StoredSpan* one : found) copies.push_back(*one);
  return copies;
}

SpanStoreCounters SpanStore::counters() const {
  const MutexLock lock(mutex_);
  return counters_;
}

}  // namespace touchstone::harness
