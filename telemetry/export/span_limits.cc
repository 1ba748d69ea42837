#include "telemetry/export/span_limits.h"

#include <string>
#include <utility>

#include "base/text.h"
#include "base/utf8.h"

namespace touchstone::telemetry {
namespace {

Status read_limit(const Environment& environment, const char* name, int64_t& out) {
  const auto text = lookup(environment, name);
  if (!text) return {};
  const auto number = parse_int(*text);
  if (!number || *number < 0) {
    return invalid_argument(std::string(name) + ": got " + quote(*text) +
                            ", expected a number from 0");
  }
  out = *number;
  return {};
}

template <typename T>
void cut(std::vector<T>& items, int64_t limit, uint32_t& dropped) {
  const auto size = static_cast<int64_t>(items.size());
  if (size <= limit) return;
  dropped += static_cast<uint32_t>(size - limit);
  items.resize(static_cast<size_t>(limit));
}

void cut_text(Value& value, int64_t characters) {
  if (auto* text = std::get_if<std::string>(&value.data)) {
    size_t bytes = 0;
    for (int64_t i = 0; i < characters && bytes < text->size(); ++i) {
      bytes += next_sequence(std::string_view(*text).substr(bytes)).size;
    }
    text->resize(std::min(bytes, text->size()));
  } else if (auto* items = std::get_if<Value::Array>(&value.data)) {
    for (Value& item : *items) cut_text(item, characters);
  }
}

void cut_values(Attributes& attributes, const std::optional<int64_t>& characters) {
  if (!characters) return;
  for (KeyValue& entry : attributes) cut_text(entry.value, *characters);
}

}  // namespace

Result<SpanLimits> SpanLimits::from(const Environment& environment) {
  SpanLimits limits;
  // The general one first: the span's own overrides it.
  for (const auto& [name, field] :
       {std::pair{"OTEL_ATTRIBUTE_COUNT_LIMIT", &limits.attributes},
        std::pair{"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", &limits.attributes},
        std::pair{"OTEL_SPAN_EVENT_COUNT_LIMIT", &limits.events},
        std::pair{"OTEL_SPAN_LINK_COUNT_LIMIT", &limits.links},
        std::pair{"OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", &limits.attributes_of_event},
        std::pair{"OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", &limits.attributes_of_link}}) {
    RETURN_IF_ERROR(read_limit(environment, name, *field));
  }
  for (const char* name :
       {"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT"}) {
    int64_t length = -1;
    RETURN_IF_ERROR(read_limit(environment, name, length));
    if (length >= 0) limits.value_characters = length;
  }
  return limits;
}

void SpanLimits::apply(Span& span) const {
  cut(span.attributes, attributes, span.dropped_attributes_count);
  cut(span.events, events, span.dropped_events_count);
  cut(span.links, links, span.dropped_links_count);
  cut_values(span.attributes, value_characters);
  for (Event& event : span.events) {
    cut(event.attributes, attributes_of_event, event.dropped_attributes_count);
    cut_values(event.attributes, value_characters);
  }
  for (Link& link : span.links) {
    cut(link.attributes, attributes_of_link, link.dropped_attributes_count);
    cut_values(link.attributes, value_characters);
  }
}

}  // namespace touchstone::telemetry
