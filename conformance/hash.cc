#include "conformance/hash.h"

#include <bit>
#include <cstring>

namespace touchstone::conformance {
namespace {

uint64_t word_at(const char* bytes) {
  uint64_t word = 0;
  std::memcpy(&word, bytes, sizeof(word));
  return word;
}

/// The 128-bit product folded, as in wyhash: 8 bytes of text a multiplication.
uint64_t mix(uint64_t a, uint64_t b) {
  __extension__ typedef unsigned __int128 Wide;
  const Wide product = static_cast<Wide>(a ^ 0x9e3779b97f4a7c15) * (b ^ 0xbf58476d1ce4e5b9);
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

}  // namespace

Hash64& Hash64::add(std::string_view text) {
  uint64_t hash = text.size();
  const char* at = text.data();
  size_t left = text.size();
  for (; left > 8; left -= 8, at += 8) hash = mix(hash, word_at(at));
  char last[8] = {};
  if (left > 0) std::memcpy(last, at, left);
  return add(mix(hash, word_at(last)));
}

Hash64& Hash64::add(const telemetry::Value& value) {
  using telemetry::Value;
  add(static_cast<uint64_t>(value.data.index()));
  if (const std::string* text = value.string()) return add(std::string_view(*text));
  if (const int64_t* integer = value.integer()) return add(static_cast<uint64_t>(*integer));
  if (const double* number = value.number()) return add(std::bit_cast<uint64_t>(*number));
  if (const bool* flag = std::get_if<bool>(&value.data)) return add(uint64_t{*flag});
  if (const auto* items = std::get_if<Value::Array>(&value.data)) {
    for (const Value& item : *items) add(item);
  } else if (const auto* map = std::get_if<Value::Map>(&value.data)) {
    add(*map);
  } else if (const auto* bytes = std::get_if<Value::Bytes>(&value.data)) {
    add(std::string_view(bytes->data));
  }
  return *this;
}

Hash64& Hash64::add(const telemetry::Attributes& attributes) {
  add(uint64_t{attributes.size()});
  for (const telemetry::KeyValue& attribute : attributes) {
    add(std::string_view(attribute.key)).add(attribute.value);
  }
  return *this;
}

uint64_t content_hash(const telemetry::Span& span) {
  Hash64 hash;
  hash.add(span.trace_id).add(span.span_id).add(span.parent_span_id);
  hash.add(std::string_view(span.trace_state)).add(uint64_t{span.flags});
  hash.add(std::string_view(span.name)).add(static_cast<uint64_t>(span.kind));
  hash.add(static_cast<uint64_t>(span.start_unix_ns)).add(static_cast<uint64_t>(span.end_unix_ns));
  hash.add(span.attributes);
  for (const telemetry::Event& event : span.events) {
    hash.add(static_cast<uint64_t>(event.time_unix_ns)).add(std::string_view(event.name));
    hash.add(event.attributes);
  }
  for (const telemetry::Link& link : span.links) {
    hash.add(link.trace_id).add(link.span_id).add(std::string_view(link.trace_state));
    hash.add(link.attributes);
  }
  return hash.add(static_cast<uint64_t>(span.status))
      .add(std::string_view(span.status_message))
      .value();
}

}  // namespace touchstone::conformance
