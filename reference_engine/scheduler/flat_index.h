// A hash index from keys to small integers whose keys live elsewhere (in blocks, in requests):
// linear probing, deletion by shifting back, so that it never fills with tombstones and never
// allocates after reserve(). Each cell keeps 32 bits of its key's hash, so that probing, shifting
// and growing touch no key but the one that is looked for. Order of insertion or of keys is never
// visible. Thread-compatible.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/check.h"

namespace touchstone::scheduler {

class FlatIndex {
 public:
  static constexpr int32_t kNone = -1;

  /// Room for `count` entries without allocation. REQUIRES: count < 2^31.
  void reserve(size_t count) {
    size_t cells = 16;
    while (cells < 2 * count) cells *= 2;
    if (cells <= cells_.size()) return;
    std::vector<Cell> old(cells);
    old.swap(cells_);
    for (const Cell& cell : old) {
      if (cell.value != kNone) place(cell);
    }
  }

  /// The entry for which `matches(value)` holds among those with this hash, or kNone.
  template <typename Matches>
  int32_t find(uint64_t hash, const Matches& matches) const {
    if (cells_.empty()) return kNone;
    const uint32_t tag = tag_of(hash);
    for (size_t at = tag & mask(); cells_[at].value != kNone; at = (at + 1) & mask()) {
      if (cells_[at].tag == tag && matches(cells_[at].value)) return cells_[at].value;
    }
    return kNone;
  }

  /// REQUIRES: no entry with this key; value >= 0.
  void insert(int32_t value, uint64_t hash) {
    if (2 * (size_ + 1) > cells_.size()) reserve(2 * (size_ + 1));
    place({tag_of(hash), value});
    ++size_;
  }

  /// Puts `value` where `old` stands; both have the same key. REQUIRES: `old` is an entry.
  void replace(int32_t old, int32_t value, uint64_t hash) {
    cells_[cell_of(old, hash)].value = value;
  }

  /// REQUIRES: `value` is an entry with this hash.
  void erase(int32_t value, uint64_t hash) {
    size_t hole = cell_of(value, hash);
    for (size_t at = (hole + 1) & mask(); cells_[at].value != kNone; at = (at + 1) & mask()) {
      const size_t home = cells_[at].tag & mask();
      // The entry may move to the hole unless its home lies after the hole on the way to it.
      if (((at - home) & mask()) >= ((at - hole) & mask())) {
        cells_[hole] = cells_[at];
        hole = at;
      }
    }
    cells_[hole].value = kNone;
    --size_;
  }

  /// Where find(), insert() and erase() of this hash will begin to look.
  void prefetch(uint64_t hash) const {
    if (!cells_.empty()) __builtin_prefetch(&cells_[tag_of(hash) & mask()]);
  }

  size_t size() const { return size_; }

 private:
  struct Cell {
    uint32_t tag = 0;
    int32_t value = kNone;
  };

  static uint32_t tag_of(uint64_t hash) { return static_cast<uint32_t>(hash); }
  size_t mask() const { return cells_.size() - 1; }
  void place(const Cell& cell) {
    size_t at = cell.tag & mask();
    while (cells_[at].value != kNone) at = (at + 1) & mask();
    cells_[at] = cell;
  }
  size_t cell_of(int32_t value, uint64_t hash) const {
    size_t at = tag_of(hash) & mask();
    while (cells_[at].value != value) {
      BASE_CHECK(cells_[at].value != kNone, "not an entry: ", value);
      at = (at + 1) & mask();
    }
    return at;
  }

  std::vector<Cell> cells_;  // a power of two of them, at most half used
  size_t size_ = 0;
};

}  // namespace touchstone::scheduler
