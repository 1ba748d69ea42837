#include "conformance/span_register.h"

#include "conformance/hash.h"

namespace touchstone::conformance {
namespace {

constexpr size_t kSlotsAtFirst = 1024;
// Names are for messages; hostile input may have a new one in every span.
constexpr size_t kNamesMax = 1024;

}  // namespace

bool says_remote(uint32_t flags) {
  constexpr uint32_t kBoth = telemetry::kFlagHasIsRemote | telemetry::kFlagIsRemote;
  return (flags & kBoth) == kBoth;
}

template <typename Visit>
const SpanRow* SpanRegister::find_if(const SpanId& id, const Visit& visit) const {
  if (slots_.empty()) return nullptr;
  const uint64_t hash = Hash64().add(id).value();
  const size_t mask = slots_.size() - 1;
  for (size_t at = hash & mask; slots_[at].row != 0; at = (at + 1) & mask) {
    if (slots_[at].hash != hash >> 32) continue;
    const SpanRow& row = rows_[slots_[at].row - 1];
    if (row.id == id && visit(row)) return &row;
  }
  return nullptr;
}

const SpanRow* SpanRegister::find(const TraceId& trace, const SpanId& id) const {
  return find_if(id, [&](const SpanRow& row) { return row.trace == trace; });
}

const SpanRow* SpanRegister::find(const SpanId& id) const {
  return find_if(id, [](const SpanRow&) { return true; });
}

void SpanRegister::grow() {
  slots_.assign(slots_.empty() ? kSlotsAtFirst : slots_.size() * 2, {});
  for (size_t row = 0; row < rows_.size(); ++row) insert(row);
}

void SpanRegister::insert(size_t row) {
  const uint64_t hash = Hash64().add(rows_[row].id).value();
  const size_t mask = slots_.size() - 1;
  size_t at = hash & mask;
  while (slots_[at].row != 0) at = (at + 1) & mask;
  slots_[at] = {static_cast<uint32_t>(hash >> 32), static_cast<uint32_t>(row + 1)};
}

uint32_t SpanRegister::intern(const std::string& name) {
  if (last_name_ < names_.size() && names_[last_name_] == name) return last_name_;
  const auto known = interned_.find(name);
  if (known != interned_.end()) return last_name_ = known->second;
  if (names_.size() == kNamesMax) return intern("(one of many names)");
  names_.push_back(names_.size() + 1 == kNamesMax ? "(one of many names)" : name.substr(0, 200));
  const auto index = static_cast<uint32_t>(names_.size() - 1);
  interned_[names_.size() == kNamesMax ? names_.back() : name] = index;
  return index;
}

SpanRegister::Seen SpanRegister::add(const telemetry::Span& span, uint16_t request_of) {
  if (!span.span_id.is_valid()) return Seen::kNew;
  const uint64_t content = content_hash(span);
  bool shared = false;
  const SpanRow* same = find_if(span.span_id, [&](const SpanRow& row) {
    shared = shared || row.trace != span.trace_id;
    return row.trace == span.trace_id;
  });
  if (same != nullptr) return same->content == content ? Seen::kDelivered : Seen::kReused;
  rows_.push_back({.trace = span.trace_id,
                   .id = span.span_id,
                   .parent = span.parent_span_id,
                   .content = content,
                   .name = intern(span.name),
                   .flags = span.flags,
                   .request_of = request_of});
  if (rows_.size() * 2 > slots_.size()) {
    grow();
  } else {
    insert(rows_.size() - 1);
  }
  return shared ? Seen::kNewButShared : Seen::kNew;
}

}  // namespace touchstone::conformance
