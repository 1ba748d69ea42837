#include "conformance/families.h"

#include <algorithm>
#include <numeric>
#include <set>
#include <tuple>

namespace touchstone::conformance {
namespace {

using Kin = std::pair<const TraceId&, const SpanId&>;

Kin self_of(const FamilyMember& member) { return {member.trace, member.id}; }
Kin siblings_of(const FamilyMember& member) { return {member.trace, member.parent}; }

}  // namespace

Families::Families(const CompiledProfile& profile) : wanted_(profile.has_families()) {
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

void Families::add(const SpanView& view) {
  if (!wanted_) return;
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
  if (view.type != nullptr) {
    const std::vector<Relation>& relations = view.rules().relations;
    for (size_t i = 0; i < std::min<size_t>(relations.size(), 64); ++i) {
      const auto& when = relations[i].when;
      if (when && !holds(*when, view.value(when->key))) member.excused |= uint64_t{1} << i;
    }
  }
  members_.push_back(std::move(member));
}

void Families::settle() {
  std::sort(members_.begin(), members_.end(), [](const FamilyMember& a, const FamilyMember& b) {
    return std::tie(a.trace, a.parent, a.start_unix_ns, a.end_unix_ns, a.id) <
           std::tie(b.trace, b.parent, b.start_unix_ns, b.end_unix_ns, b.id);
  });
  by_id_.resize(members_.size());
  std::iota(by_id_.begin(), by_id_.end(), 0u);
  std::sort(by_id_.begin(), by_id_.end(),
            [&](uint32_t a, uint32_t b) { return self_of(members_[a]) < self_of(members_[b]); });
}

const FamilyMember* Families::parent_of(const FamilyMember& member) const {
  const auto found = std::lower_bound(
      by_id_.begin(), by_id_.end(), siblings_of(member),
      [&](uint32_t at, const Kin& wanted) { return self_of(members_[at]) < wanted; });
  if (found == by_id_.end() || self_of(members_[*found]) != siblings_of(member)) return nullptr;
  return &members_[*found];
}

std::vector<const FamilyMember*> Families::children_of(const FamilyMember& member) const {
  std::vector<const FamilyMember*> children;
  auto at = std::lower_bound(
      members_.begin(), members_.end(), self_of(member),
      [](const FamilyMember& child, const Kin& wanted) { return siblings_of(child) < wanted; });
  for (; at != members_.end() && siblings_of(*at) == self_of(member); ++at) {
    children.push_back(&*at);
  }
  return children;
}

Operand Families::value_of(const FamilyMember& member, std::string_view word) const {
  for (size_t i = 0; i < words_.size(); ++i) {
    if (words_[i] == word) return member.values[i];
  }
  return {};
}

}  // namespace touchstone::conformance
