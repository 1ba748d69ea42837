// Sorts any number of records in bounded memory: sorted runs go to a file and are merged at the
// end. Exact: the order is the same with and without a file. Thread-compatible.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/spill_file.h"

namespace touchstone {

class RecordSorter final {
 public:
  struct Options {
    size_t key_bytes = 8;     ///< a record begins with its key, which orders it byte by byte
    size_t memory_bytes = 0;  ///< beyond it, records go to the file
  };
  explicit RecordSorter(Options options) : options_(options) {}

  /// REQUIRES: record.size() >= key_bytes. ERRORS: kIo of the file.
  Status add(std::string_view record);
  /// Visits all records in the order of their keys, equal ones in the order of add(); stops at the
  /// first error `visit` returns. A record is valid while it is visited. Call once, at the end.
  /// ERRORS: kIo of the file, or what `visit` returned.
  Status visit_sorted(const std::function<Status(std::string_view)>& visit);

 private:
  /// A record in memory.
  struct Ref {
    uint64_t prefix;  // the key's first bytes, as a number that orders like them
    uint32_t block;
    uint32_t offset;  // of its size, which the record follows
  };
  struct Run {
    uint64_t begin;
    uint64_t end;
  };
  class Cursor;
  class Merge;

  std::string_view record_of(const Ref& ref) const;
  void sort_memory();
  Status spill();
  Status merge_some();

  const Options options_;
  std::vector<std::vector<char>> blocks_;  // the records' bytes; reused after a spill
  size_t used_blocks_ = 0;
  size_t used_bytes_ = 0;  // of all records in memory, with what stands beside them
  std::vector<Ref> refs_;
  std::unique_ptr<SpillFile> file_;
  std::vector<Run> runs_;  // in the order of add()
};

}  // namespace touchstone
