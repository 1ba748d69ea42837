// What is kept of spans whose profile looks from a span at its parent or its children: ids, times
// and the values that relations name. Thread-compatible.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "conformance/profile/relation.h"
#include "conformance/span_view.h"

namespace touchstone::conformance {

struct FamilyMember {
  TraceId trace;
  SpanId id;
  SpanId parent;
  int64_t start_unix_ns = 0;
  int64_t end_unix_ns = 0;
  const CompiledType* type = nullptr;  ///< null: none of the profile's
  std::string name;
  std::vector<Operand> values;  ///< by position in Families::words_
  uint64_t excused = 0;         ///< bit i: relation i of its type has a `when` that does not hold
  bool owes(size_t relation) const { return relation >= 64 || (excused >> relation & 1) == 0; }
};

class Families final {
 public:
  explicit Families(const CompiledProfile& profile);

  /// A span that was not seen before.
  void add(const SpanView& view);
  /// Makes parents and children found. Call once, before the rest.
  void settle();

  /// By trace, parent and start.
  const std::vector<FamilyMember>& members() const { return members_; }
  /// Null: a root, or the parent was not collected.
  const FamilyMember* parent_of(const FamilyMember& member) const;
  /// By start.
  std::vector<const FamilyMember*> children_of(const FamilyMember& member) const;
  Operand value_of(const FamilyMember& member, std::string_view word) const;

 private:
  bool wanted_;
  std::vector<std::string> words_;  // that relations across spans use
  std::vector<FamilyMember> members_;
  std::vector<uint32_t> by_id_;  // members, by trace and id
};

}  // namespace touchstone::conformance
