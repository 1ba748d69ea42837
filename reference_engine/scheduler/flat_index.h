// A hash index from keys to small integers whose keys live elsewhere (in blocks, in requests):
// linear probing, deletion by shifting back, so that it never fills with tombstones and never
// allocates after reserve(). Order of insertion or of keys is never visible. Thread-compatible.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/check.h"

namespace touchstone::scheduler {

class FlatIndex {
 public:
  static constexpr int32_t kNone = -1;

  /// Room for `count` entries without allocation; rehashes when there are entries already.
  /// `hash_of(value)` gives the hash of an entry's key.
  template <typename HashOf>
  void reserve(size_t count, const HashOf& hash_of) {
    size_t cells = 16;
    while (cells < 2 * count) cells *= 2;
    if (cells <= cells_.size()) return;
    std::vector<int32_t> old(cells, kNone);
    old.swap(cells_);
    for (const int32_t value : old) {
      if (value != kNone) place(value, hash_of(value));
    }
  }

  /// The entry for which `matches(value)` holds among those with this hash, or kNone.
  template <typename Matches>
  int32_t find(uint64_t hash, const Matches& matches) const {
    if (cells_.empty()) return kNone;
    for (size_t cell = hash & mask(); cells_[cell] != kNone; cell = (cell + 1) & mask()) {
      if (matches(cells_[cell])) return cells_[cell];
    }
    return kNone;
  }

  /// REQUIRES: no entry with this key; value >= 0.
  template <typename HashOf>
  void insert(int32_t value, const HashOf& hash_of) {
    if (2 * (size_ + 1) > cells_.size()) reserve(2 * (size_ + 1), hash_of);
    place(value, hash_of(value));
    ++size_;
  }

  /// Puts `value` where `old` stands; both have the same key. REQUIRES: `old` is an entry.
  void replace(int32_t old, int32_t value, uint64_t hash) { cells_[cell_of(old, hash)] = value; }

  /// REQUIRES: `value` is an entry.
  template <typename HashOf>
  void erase(int32_t value, const HashOf& hash_of) {
    size_t hole = cell_of(value, hash_of(value));
    for (size_t cell = (hole + 1) & mask(); cells_[cell] != kNone; cell = (cell + 1) & mask()) {
      const size_t home = hash_of(cells_[cell]) & mask();
      // The entry may move to the hole unless its home lies after the hole on the way to it.
      if (((cell - home) & mask()) >= ((cell - hole) & mask())) {
        cells_[hole] = cells_[cell];
        hole = cell;
      }
    }
    cells_[hole] = kNone;
    --size_;
  }

  size_t size() const { return size_; }

 private:
  size_t mask() const { return cells_.size() - 1; }
  void place(int32_t value, uint64_t hash) {
    size_t cell = hash & mask();
    while (cells_[cell] != kNone) cell = (cell + 1) & mask();
    cells_[cell] = value;
  }
  size_t cell_of(int32_t value, uint64_t hash) const {
    size_t cell = hash & mask();
    while (cells_[cell] != value) {
      BASE_CHECK(cells_[cell] != kNone, "not an entry: ", value);
      cell = (cell + 1) & mask();
    }
    return cell;
  }

  std::vector<int32_t> cells_;  // a power of two of them, at most half used
  size_t size_ = 0;
};

}  // namespace touchstone::scheduler
