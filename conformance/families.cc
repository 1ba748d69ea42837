#include "conformance/families.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <set>
#include <tuple>
#include <utility>

namespace touchstone::conformance {
namespace {

/// Appends values as they lie in memory: whoever reads them is this process.
class Writer final {
 public:
  explicit Writer(std::string& out) : out_(out) { out_.clear(); }
  template <typename T>
  void value(const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    out_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void text(std::string_view text) {
    value(text.size());
    out_ += text;
  }

 private:
  std::string& out_;
};

/// The inverse.
class Reader final {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}
  template <typename T>
  T value() {
    T value;
    std::memcpy(static_cast<void*>(&value), rest_.data(), sizeof value);
    rest_.remove_prefix(sizeof value);
    return value;
  }
  std::string text() {
    const auto size = value<size_t>();
    std::string text(rest_.substr(0, size));
    rest_.remove_prefix(size);
    return text;
  }

 private:
  std::string_view rest_;
};

void write(const FamilyMember& member, std::string& out) {
  Writer writer(out);
  writer.value(member.trace);  // first: the key
  writer.value(member.id);
  writer.value(member.parent);
  writer.value(member.start_unix_ns);
  writer.value(member.end_unix_ns);
  writer.value(member.type);
  writer.text(member.name);
  writer.value(member.excused);
  for (const Operand& operand : member.values) {
    writer.value(static_cast<uint8_t>(operand.index()));
    if (const double* number = std::get_if<double>(&operand)) writer.value(*number);
    if (const std::string* text = std::get_if<std::string>(&operand)) writer.text(*text);
  }
}

FamilyMember read(std::string_view record, size_t values) {
  Reader reader(record);
  FamilyMember member;
  member.trace = reader.value<TraceId>();
  member.id = reader.value<SpanId>();
  member.parent = reader.value<SpanId>();
  member.start_unix_ns = reader.value<int64_t>();
  member.end_unix_ns = reader.value<int64_t>();
  member.type = reader.value<const CompiledType*>();
  member.name = reader.text();
  member.excused = reader.value<uint64_t>();
  for (size_t i = 0; i < values; ++i) {
    Operand& operand = member.values.emplace_back();
    const auto index = reader.value<uint8_t>();
    if (index == 1) operand = reader.value<double>();
    if (index == 2) operand = reader.text();
  }
  return member;
}

}  // namespace

Family::Family(std::vector<FamilyMember> members, const std::vector<std::string>& words)
    : members_(std::move(members)), by_id_(members_.size()), words_(words) {
  std::stable_sort(members_.begin(), members_.end(),
                   [](const FamilyMember& a, const FamilyMember& b) {
                     return std::tie(a.parent, a.start_unix_ns, a.end_unix_ns, a.id) <
                            std::tie(b.parent, b.start_unix_ns, b.end_unix_ns, b.id);
                   });
  std::iota(by_id_.begin(), by_id_.end(), 0u);
  std::stable_sort(by_id_.begin(), by_id_.end(),
                   [&](uint32_t a, uint32_t b) { return members_[a].id < members_[b].id; });
}

const FamilyMember* Family::parent_of(const FamilyMember& member) const {
  const auto found =
      std::lower_bound(by_id_.begin(), by_id_.end(), member.parent,
                       [&](uint32_t at, const SpanId& id) { return members_[at].id < id; });
  if (found == by_id_.end() || members_[*found].id != member.parent) return nullptr;
  return &members_[*found];
}

std::vector<const FamilyMember*> Family::children_of(const FamilyMember& member) const {
  std::vector<const FamilyMember*> children;
  auto at = std::lower_bound(
      members_.begin(), members_.end(), member.id,
      [](const FamilyMember& child, const SpanId& id) { return child.parent < id; });
  for (; at != members_.end() && at->parent == member.id; ++at) children.push_back(&*at);
  return children;
}

Operand Family::value_of(const FamilyMember& member, std::string_view word) const {
  for (size_t i = 0; i < words_.size(); ++i) {
    if (words_[i] == word) return member.values[i];
  }
  return {};
}

Families::Families(const CompiledProfile& profile, size_t bytes_in_memory)
    : wanted_(profile.has_families()),
      members_({.key_bytes = sizeof(TraceId), .memory_bytes = bytes_in_memory}) {
  std::set<std::string> words;
  for (const SpanType& type : profile.profile().spans) {
    for (const Relation& relation : type.relations) {
      if (!relation.crosses_spans()) continue;
      for (const auto* side : {&relation.left, &relation.right}) {
        for (const Relation::Term& term : *side) {
          if (!term.name.empty()) words.insert(term.name);
        }
      }
    }
  }
  words_.assign(words.begin(), words.end());
}

FamilyMember Families::member_of(const SpanView& view) const {
  const telemetry::Span& span = *view.span;
  FamilyMember member{.trace = span.trace_id,
                      .id = span.span_id,
                      .parent = span.parent_span_id,
                      .start_unix_ns = span.start_unix_ns,
                      .end_unix_ns = span.end_unix_ns,
                      .type = view.type,
                      .name = span.name.substr(0, 200),
                      .values = {}};
  for (const std::string& word : words_) member.values.push_back(view.operand(word));
  if (view.type == nullptr) return member;
  const std::vector<Relation>& relations = view.rules().relations;
  for (size_t i = 0; i < std::min<size_t>(relations.size(), 64); ++i) {
    const auto& when = relations[i].when;
    if (when && !holds(*when, view.value(when->key))) member.excused |= uint64_t{1} << i;
  }
  return member;
}

Status Families::add(const SpanView& view) {
  if (!wanted_) return {};
  write(member_of(view), record_);
  return members_.add(record_);
}

Status Families::for_each(const std::function<void(const Family&)>& visit) {
  std::vector<FamilyMember> trace;
  RETURN_IF_ERROR(members_.visit_sorted([&](std::string_view record) -> Status {
    FamilyMember member = read(record, words_.size());
    if (!trace.empty() && trace.front().trace != member.trace) {
      visit(Family(std::exchange(trace, {}), words_));
    }
    trace.push_back(std::move(member));
    return {};
  }));
  if (!trace.empty()) visit(Family(std::move(trace), words_));
  return {};
}

}  // namespace touchstone::conformance
