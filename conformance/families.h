// What is kept of spans whose profile looks from a span at its parent or its children: ids, times
// and the values that relations name. Handed out trace by trace at the end. Bounded memory: what
// does not fit goes to a file. Thread-compatible.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/record_sorter.h"
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

/// The members of one trace.
class Family final {
 public:
  /// `words`: what the members' values stand for; must outlive this. REQUIRES: one trace.
  Family(std::vector<FamilyMember> members, const std::vector<std::string>& words);

  /// By parent and start.
  const std::vector<FamilyMember>& members() const { return members_; }
  /// Null: a root, or the parent was not collected.
  const FamilyMember* parent_of(const FamilyMember& member) const;
  /// By start.
  std::vector<const FamilyMember*> children_of(const FamilyMember& member) const;
  Operand value_of(const FamilyMember& member, std::string_view word) const;

 private:
  std::vector<FamilyMember> members_;
  std::vector<uint32_t> by_id_;  // members
  const std::vector<std::string>& words_;
};

class Families final {
 public:
  /// `bytes_in_memory`: beyond it, members go to a file.
  Families(const CompiledProfile& profile, size_t bytes_in_memory);

  /// A span that was not seen before. ERRORS: kIo of the file.
  Status add(const SpanView& view);
  /// Visits the traces in the order of their ids. Call once, at the end. ERRORS: kIo of the file.
  Status for_each(const std::function<void(const Family&)>& visit);

 private:
  FamilyMember member_of(const SpanView& view) const;

  const bool wanted_;
  std::vector<std::string> words_;  // that relations across spans use
  RecordSorter members_;            // as bytes, by trace
  std::string record_;              // the one that is being made
};

}  // namespace touchstone::conformance
