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

/// The 128-bit product folded, as in wyhash. What `a` was is not lost when the product is zero.
uint64_t mix(uint64_t a, uint64_t b) {
  __extension__ typedef unsigned __int128 Wide;
  const Wide product = static_cast<Wide>(a ^ 0x9e3779b97f4a7c15) * (b ^ 0xbf58476d1ce4e5b9);
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64) ^ a;
}

/// Up to eight bytes.
uint64_t last_word(const char* bytes, size_t size) {
  char last[8] = {};
  std::memcpy(last, bytes, size);
  return word_at(last);
}

template <size_t N>
void fold_id(Hash64& hash, const ByteId<N>& id) {
  const auto* const bytes = reinterpret_cast<const char*>(id.bytes.data());
  for (size_t at = 0; at < N; at += 8) hash.fold(word_at(bytes + at));
}

}  // namespace

Hash64& Hash64::fold(uint64_t word) {
  state_ = mix(state_, word);
  return *this;
}

/// 16 bytes of text a multiplication.
Hash64& Hash64::add(std::string_view text) {
  const char* at = text.data();
  size_t left = text.size();
  uint64_t hash = mix(state_, left);
  for (; left >= 16; left -= 16, at += 16) hash = mix(hash ^ word_at(at), word_at(at + 8));
  if (left > 8) {
    hash = mix(hash ^ word_at(at), last_word(at + 8, left - 8));
  } else if (left > 0) {
    hash = mix(hash, last_word(at, left));
  }
  state_ = hash;
  return *this;
}

Hash64& Hash64::add(const telemetry::Value& value) {
  using telemetry::Value;
  fold(static_cast<uint64_t>(value.data.index()));
  if (const std::string* text = value.string()) return add(std::string_view(*text));
  if (const int64_t* integer = value.integer()) return fold(static_cast<uint64_t>(*integer));
  if (const double* number = value.number()) return fold(std::bit_cast<uint64_t>(*number));
  if (const bool* flag = std::get_if<bool>(&value.data)) return fold(uint64_t{*flag});
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
  fold(uint64_t{attributes.size()});
  for (const telemetry::KeyValue& attribute : attributes) {
    add(std::string_view(attribute.key)).add(attribute.value);
  }
  return *this;
}

uint64_t content_hash(const telemetry::Span& span) {
  Hash64 hash;
  fold_id(hash, span.trace_id);
  fold_id(hash, span.span_id);
  fold_id(hash, span.parent_span_id);
  hash.add(std::string_view(span.trace_state)).fold(uint64_t{span.flags});
  hash.add(std::string_view(span.name)).fold(static_cast<uint64_t>(span.kind));
  hash.fold(static_cast<uint64_t>(span.start_unix_ns));
  hash.fold(static_cast<uint64_t>(span.end_unix_ns));
  hash.add(span.attributes);
  for (const telemetry::Event& event : span.events) {
    hash.fold(static_cast<uint64_t>(event.time_unix_ns)).add(std::string_view(event.name));
    hash.add(event.attributes);
  }
  for (const telemetry::Link& link : span.links) {
    fold_id(hash, link.trace_id);
    fold_id(hash, link.span_id);
    hash.add(std::string_view(link.trace_state));
    hash.add(link.attributes);
  }
  return hash.fold(static_cast<uint64_t>(span.status))
      .add(std::string_view(span.status_message))
      .value();
}

}  // namespace touchstone::conformance
