// The ids of all spans of a run and the hash of what each holds: tells at once whether a span was
// there before, exactly, in bounded memory. What does not fit goes to a file as sorted runs; a
// filter in memory says of nearly every new id that none of them has it. Thread-compatible.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/spill_file.h"

namespace touchstone::conformance {

class SpanIds final {
 public:
  /// What is there already with a span's id.
  enum class Seen {
    kNew,           ///< nothing
    kNewButShared,  ///< a span of another trace
    kDelivered,     ///< the same span
    kReused         ///< another span of the same trace
  };
  struct Sighting {
    Seen seen = Seen::kNew;
    TraceId first;  ///< of the first span with the id, unless kNew
  };

  /// `in_memory`: so many spans are kept before some go to a file.
  explicit SpanIds(size_t in_memory);
  ~SpanIds();

  /// Brings what add() looks at first into the cache.
  void prefetch(const SpanId& id) const;
  /// Remembers the span if it is new. ERRORS: kIo of the file.
  Result<Sighting> add(const TraceId& trace, const SpanId& id, uint64_t content_hash);

 private:
  /// A span. The first with its id stands under the id alone, others under id and trace: so each
  /// is found at one place, and no hostile choice of ids makes a search long.
  struct Entry {
    SpanId id;
    TraceId trace;
    uint64_t content;  // 63 bits of the hash, then whether it is the first with its id
    bool is_first() const { return (content & 1) != 0; }
    uint64_t key() const;  // spreads evenly
    /// By key; no two entries are equal.
    bool operator<(const Entry& other) const;
    bool is_at_place_of(const Entry& other) const;
  };
  static_assert(sizeof(Entry) == 32);
  struct Slot {
    uint32_t key = 0;    // its upper half: most others are told apart without their entry
    uint32_t entry = 0;  // + 1; 0: free
  };
  /// Sorted entries in the file.
  struct Run {
    uint64_t offset;
    uint64_t count;
    int tier;  // how often its entries were merged
  };
  class Filter;
  class RunReader;

  /// The one at the place of `wanted`; nullopt: none.
  Result<std::optional<Entry>> find(const Entry& wanted);
  Result<std::optional<Entry>> find_in(const Run& run, const Entry& wanted);
  Status insert(const Entry& entry);
  void put_slot(uint64_t key, size_t entry);
  Status spill();
  Status merge_runs();
  Status read_entries(uint64_t offset, uint64_t count, std::vector<Entry>& entries);
  Status write_entry(const Entry& entry);

  const size_t in_memory_;
  std::vector<Entry> entries_;
  std::vector<Slot> slots_;  // open addressing by key
  std::unique_ptr<Filter> filter_;
  std::unique_ptr<SpillFile> file_;
  std::vector<Run> runs_;    // from high tiers to low ones
  std::vector<Entry> page_;  // that was read last
};

}  // namespace touchstone::conformance
