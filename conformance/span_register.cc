#include "conformance/span_register.h"

#include <algorithm>
#include <cstring>

#include "conformance/hash.h"

namespace touchstone::conformance {
namespace {

// Names are for messages; hostile input may have a new one in every span.
constexpr size_t kNamesMax = 1024;
constexpr size_t kKeyBytes = sizeof(TraceId) + sizeof(SpanId);
// A row in memory, with what the sorter keeps beside it.
constexpr size_t kRowBytes = sizeof(SpanRow) + 20;

static_assert(offsetof(SpanRow, trace) == 0 && offsetof(SpanRow, id) == sizeof(TraceId),
              "a row's bytes begin with its key");

}  // namespace

bool says_remote(uint32_t flags) {
  constexpr uint32_t kBoth = telemetry::kFlagHasIsRemote | telemetry::kFlagIsRemote;
  return (flags & kBoth) == kBoth;
}

size_t TraceRows::position(const SpanId& id) const {
  const auto found =
      std::lower_bound(rows_.begin(), rows_.end(), id,
                       [](const SpanRow& row, const SpanId& wanted) { return row.id < wanted; });
  if (found == rows_.end() || found->id != id) return size();
  return static_cast<size_t>(found - rows_.begin());
}

SpanRegister::SpanRegister(size_t in_memory)
    : ids_(in_memory), rows_({.key_bytes = kKeyBytes, .memory_bytes = in_memory * kRowBytes}) {}

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

Result<SpanIds::Sighting> SpanRegister::add(const telemetry::Span& span, uint16_t request_of) {
  if (!span.span_id.is_valid()) return SpanIds::Sighting{};
  auto sighting = ids_.add(span.trace_id, span.span_id, content_hash(span));
  if (!sighting || sighting->seen == Seen::kDelivered || sighting->seen == Seen::kReused) {
    return sighting;
  }
  SpanRow row;
  std::memset(static_cast<void*>(&row), 0, sizeof row);  // its padding goes to the file too
  row.trace = span.trace_id;
  row.id = span.span_id;
  row.parent = span.parent_span_id;
  row.name = intern(span.name);
  row.flags = span.flags;
  row.request_of = request_of;
  row.kind = span.kind;
  RETURN_IF_ERROR(rows_.add({reinterpret_cast<const char*>(&row), sizeof row}));
  return sighting;
}

Status SpanRegister::for_each_trace(const std::function<void(const TraceRows&)>& visit) {
  std::vector<SpanRow> trace;
  RETURN_IF_ERROR(rows_.visit_sorted([&](std::string_view record) -> Status {
    SpanRow row;
    std::memcpy(static_cast<void*>(&row), record.data(), sizeof row);
    if (!trace.empty() && trace.front().trace != row.trace) {
      visit(TraceRows(trace));
      trace.clear();
    }
    trace.push_back(row);
    return {};
  }));
  if (!trace.empty()) visit(TraceRows(trace));
  return {};
}

}  // namespace touchstone::conformance
