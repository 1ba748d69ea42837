// The wire format (protobuf.dev/programming-guides/encoding), written from the end to the start:
// the length of a nested message is known once its content is written, so one pass is enough.
#include <algorithm>
#include <bit>
#include <cstring>
#include <memory>
#include <utility>

#include "base/json_text.h"
#include "base/text.h"
#include "telemetry/otlp/protobuf.h"

namespace touchstone::telemetry {
namespace {

static_assert(std::endian::native == std::endian::little,
              "fixed64 is written as it lies in memory");

bool is_ascii(std::string_view text) {
  uint64_t high = 0;
  uint64_t word = 0;
  if (text.size() < 8) {
    for (const char c : text) high |= static_cast<unsigned char>(c);
    return high < 0x80;
  }
  for (size_t i = 0; i + 8 < text.size(); i += 8) {
    std::memcpy(&word, text.data() + i, 8);
    high |= word;
  }
  std::memcpy(&word, text.data() + text.size() - 8, 8);  // the last eight, some of them again
  return ((high | word) & 0x8080808080808080u) == 0;
}

class ReverseWriter final {
 public:
  explicit ReverseWriter(size_t capacity)
      : buffer_(std::make_unique_for_overwrite<char[]>(capacity)),
        capacity_(capacity),
        start_(capacity) {}

  size_t size() const { return capacity_ - start_; }
  std::string text() const { return std::string(buffer_.get() + start_, size()); }

  void bytes(std::string_view data) {
    std::memcpy(make_room(data.size()), data.data(), data.size());
  }
  void varint(uint64_t value) {
    if (value < 0x80) {
      *make_room(1) = static_cast<char>(value);
      return;
    }
    char text[10];
    size_t count = 0;
    for (; value >= 0x80; value >>= 7) text[count++] = static_cast<char>(value | 0x80);
    text[count++] = static_cast<char>(value);
    std::memcpy(make_room(count), text, count);
  }

  // Each field writes its value, then its tag in front of it.
  void length_delimited(uint32_t field, size_t end_size) {
    varint(size() - end_size);
    tag(field, 2);
  }
  void bytes_field(uint32_t field, std::string_view data) {
    bytes(data);
    varint(data.size());
    tag(field, 2);
  }
  void string_field(uint32_t field, std::string_view text) {
    if (text.empty()) return;
    present_string_field(field, text);
  }
  void present_string_field(uint32_t field, std::string_view text) {
    if (is_ascii(text)) {
      bytes_field(field, text);
    } else {
      bytes_field(field, valid_utf8(text));
    }
  }
  void varint_field(uint32_t field, uint64_t value) {
    varint(value);
    tag(field, 0);
  }
  // Proto3 leaves zero out.
  void count_field(uint32_t field, uint32_t count) {
    if (count != 0) varint_field(field, count);
  }
  void time_field(uint32_t field, int64_t unix_ns) {
    if (unix_ns != 0) fixed_field(field, static_cast<uint64_t>(unix_ns));
  }
  template <typename T>
  void fixed_field(uint32_t field, T value) {
    std::memcpy(make_room(sizeof value), &value, sizeof value);
    tag(field, sizeof value == 8 ? 1 : 5);
  }

 private:
  void tag(uint32_t field, uint32_t wire_type) { varint(field << 3 | wire_type); }

  char* make_room(size_t count) {
    if (count > start_) [[unlikely]]
      grow(count);
    start_ -= count;
    return buffer_.get() + start_;
  }

  void grow(size_t count) {
    const size_t used = size();
    const size_t capacity = std::max(2 * capacity_, used + count);
    auto larger = std::make_unique_for_overwrite<char[]>(capacity);
    std::memcpy(larger.get() + capacity - used, buffer_.get() + start_, used);
    buffer_ = std::move(larger);
    capacity_ = capacity;
    start_ = capacity - used;
  }

  std::unique_ptr<char[]> buffer_;
  size_t capacity_;
  size_t start_;  // what is written lies in [start_, capacity_)
};

template <size_t N>
std::string_view view(const ByteId<N>& id) {
  return {reinterpret_cast<const char*>(id.bytes.data()), N};
}

void write_attributes(ReverseWriter& out, uint32_t field, const Attributes& attributes);

/// The content of an AnyValue.
void write_value(ReverseWriter& out, const Value& value) {
  const size_t end = out.size();
  if (const auto* text = value.string()) {
    out.present_string_field(1, *text);
  } else if (const auto* flag = std::get_if<bool>(&value.data)) {
    out.varint_field(2, *flag ? 1 : 0);
  } else if (const auto* integer = value.integer()) {
    out.varint_field(3, static_cast<uint64_t>(*integer));
  } else if (const auto* number = value.number()) {
    out.fixed_field(4, *number);
  } else if (const auto* items = std::get_if<Value::Array>(&value.data)) {
    for (auto item = items->rbegin(); item != items->rend(); ++item) {
      const size_t item_end = out.size();
      write_value(out, *item);
      out.length_delimited(1, item_end);
    }
    out.length_delimited(5, end);
  } else if (const auto* map = std::get_if<Value::Map>(&value.data)) {
    write_attributes(out, 1, *map);
    out.length_delimited(6, end);
  } else if (const auto* data = std::get_if<Value::Bytes>(&value.data)) {
    out.bytes_field(7, data->data);
  }
}

void write_attributes(ReverseWriter& out, uint32_t field, const Attributes& attributes) {
  for (auto entry = attributes.rbegin(); entry != attributes.rend(); ++entry) {
    const size_t end = out.size();
    write_value(out, entry->value);
    out.length_delimited(2, end);
    out.string_field(1, entry->key);
    out.length_delimited(field, end);
  }
}

void write_event(ReverseWriter& out, const Event& event) {
  const size_t end = out.size();
  out.count_field(4, event.dropped_attributes_count);
  write_attributes(out, 3, event.attributes);
  out.string_field(2, event.name);
  out.time_field(1, event.time_unix_ns);
  out.length_delimited(11, end);
}

void write_link(ReverseWriter& out, const Link& link) {
  const size_t end = out.size();
  if (link.flags != 0) out.fixed_field(6, link.flags);
  out.count_field(5, link.dropped_attributes_count);
  write_attributes(out, 4, link.attributes);
  out.string_field(3, link.trace_state);
  out.bytes_field(2, view(link.span_id));
  out.bytes_field(1, view(link.trace_id));
  out.length_delimited(13, end);
}

void write_span(ReverseWriter& out, const Span& span) {
  const size_t end = out.size();
  if (span.flags != 0) out.fixed_field(16, span.flags);
  // SDKs always send a status, empty when unset; the Collector's files then show `"status":{}`.
  const size_t status_end = out.size();
  if (span.status != StatusCode::kUnset) {
    out.varint_field(3, static_cast<uint64_t>(span.status));
  }
  out.string_field(2, span.status_message);
  out.length_delimited(15, status_end);
  out.count_field(14, span.dropped_links_count);
  for (auto link = span.links.rbegin(); link != span.links.rend(); ++link) write_link(out, *link);
  out.count_field(12, span.dropped_events_count);
  for (auto event = span.events.rbegin(); event != span.events.rend(); ++event) {
    write_event(out, *event);
  }
  out.count_field(10, span.dropped_attributes_count);
  write_attributes(out, 9, span.attributes);
  out.time_field(8, span.end_unix_ns);
  out.time_field(7, span.start_unix_ns);
  if (span.kind != SpanKind::kUnspecified) {
    out.varint_field(6, static_cast<uint64_t>(span.kind));
  }
  out.string_field(5, span.name);
  if (span.parent_span_id.is_valid()) out.bytes_field(4, view(span.parent_span_id));
  out.string_field(3, span.trace_state);
  out.bytes_field(2, view(span.span_id));
  out.bytes_field(1, view(span.trace_id));
  out.length_delimited(2, end);
}

void write_scope_spans(ReverseWriter& out, const ScopeSpans& group) {
  const size_t end = out.size();
  out.string_field(3, group.schema_url);
  for (auto span = group.spans.rbegin(); span != group.spans.rend(); ++span) write_span(out, *span);
  const size_t scope_end = out.size();
  out.count_field(4, group.scope.dropped_attributes_count);
  write_attributes(out, 3, group.scope.attributes);
  out.string_field(2, group.scope.version);
  out.string_field(1, group.scope.name);
  out.length_delimited(1, scope_end);
  out.length_delimited(2, end);
}

}  // namespace

std::string encode_otlp_protobuf(const TraceBatch& batch) {
  constexpr size_t kTypicalSpanBytes = 640;
  ReverseWriter out(1024 + kTypicalSpanBytes * static_cast<size_t>(span_count(batch)));
  for (auto group = batch.rbegin(); group != batch.rend(); ++group) {
    const size_t end = out.size();
    out.string_field(3, group->schema_url);
    for (auto scope = group->scope_spans.rbegin(); scope != group->scope_spans.rend(); ++scope) {
      write_scope_spans(out, *scope);
    }
    const size_t resource_end = out.size();
    out.count_field(2, group->resource.dropped_attributes_count);
    write_attributes(out, 1, group->resource.attributes);
    out.length_delimited(1, resource_end);
    out.length_delimited(1, end);
  }
  return out.text();
}

}  // namespace touchstone::telemetry
