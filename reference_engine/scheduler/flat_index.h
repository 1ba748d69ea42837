// A hash index from keys to small integers whose keys live elsewhere (in blocks, in requests).
// Values stand in buckets of one cache line: an entry is in the bucket of its hash or, when that is
// full, in one after it, and each bucket counts the entries that went past it. So a lookup touches
// one line almost always, an entry is erased by clearing its place, and none is ever moved.
// Of a hash each entry keeps a byte: keys are looked at only where that byte is equal. Order of
// insertion or of keys is never visible. Thread-compatible.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "base/check.h"

namespace touchstone::scheduler {

/// Hashes are told apart by their upper bits first.
class FlatIndex {
 public:
  static constexpr int32_t kNone = -1;

  /// Room for `count` entries without allocation. `hash_of(value)` is the hash of an entry.
  template <typename HashOf>
  void reserve(size_t count, const HashOf& hash_of) {
    if (count <= capacity()) return;
    std::vector<Bucket> old(std::bit_ceil(count / kFill + 2));
    old.swap(buckets_);
    shift_ = 64 - std::countr_zero(buckets_.size());
    size_ = 0;
    for (const Bucket& bucket : old) {
      for (size_t i = 0; i < kPlaces; ++i) {
        if (bucket.tags[i] != 0) place(bucket.values[i], hash_of(bucket.values[i]));
      }
    }
  }
  size_t capacity() const { return buckets_.size() * kFill; }

  /// The entry for which `matches(value)` holds among those with this hash, or kNone.
  template <typename Matches>
  int32_t find(uint64_t hash, const Matches& matches) const {
    if (size_ == 0) return kNone;
    const uint8_t tag = tag_of(hash);
    size_t at = home_of(hash);
    for (size_t tried = 0; tried < buckets_.size(); ++tried, at = after(at)) {
      const Bucket& bucket = buckets_[at];
      for (uint64_t found = bucket.places_with(tag); found != 0; found &= found - 1) {
        const int32_t value = bucket.values[place_of(found)];
        if (matches(value)) return value;
      }
      if (bucket.passed == 0) break;
    }
    return kNone;
  }

  /// REQUIRES: no entry with this key; value >= 0. Allocates when size() is capacity().
  template <typename HashOf>
  void insert(int32_t value, uint64_t hash, const HashOf& hash_of) {
    if (size_ == capacity()) reserve(2 * (size_ + 1), hash_of);
    place(value, hash);
  }

  /// As find(); where that is kNone, `value` is an entry from now on. REQUIRES: value >= 0;
  /// size() < capacity().
  template <typename Matches>
  int32_t find_or_insert(int32_t value, uint64_t hash, const Matches& matches) {
    BASE_CHECK(size_ < capacity(), size_, " entries");
    const int32_t there = find(hash, matches);
    if (there == kNone) place(value, hash);
    return there;
  }

  /// Puts `value` where `old` stands; both have the same key. REQUIRES: `old` is an entry.
  void replace(int32_t old, int32_t value, uint64_t hash) {
    size_t at = home_of(hash);
    size_t i = buckets_[at].place_with(tag_of(hash), old);
    for (; i == kPlaces; i = buckets_[at].place_with(tag_of(hash), old)) {
      BASE_CHECK(buckets_[at].passed > 0, "not an entry: ", old);
      at = after(at);
    }
    buckets_[at].values[i] = value;
  }

  /// REQUIRES: `value` is an entry with this hash.
  void erase(int32_t value, uint64_t hash) {
    size_t at = home_of(hash);
    size_t i = buckets_[at].place_with(tag_of(hash), value);
    for (; i == kPlaces; i = buckets_[at].place_with(tag_of(hash), value)) {
      BASE_CHECK(buckets_[at].passed > 0, "not an entry: ", value);
      --buckets_[at].passed;
      at = after(at);
    }
    buckets_[at].tags[i] = 0;
    --size_;
  }

  /// Where find(), insert() and erase() of this hash will look.
  void prefetch(uint64_t hash) const {
    if (!buckets_.empty()) __builtin_prefetch(&buckets_[home_of(hash)], 1);
  }

  size_t size() const { return size_; }

 private:
  static constexpr size_t kPlaces = 12;
  static constexpr size_t kFill = 6;  // entries a bucket, on average and at most

  struct alignas(64) Bucket {
    std::array<uint8_t, kPlaces> tags{};  // 0: the place is empty
    uint32_t passed = 0;                  // entries that found it full and stand further on
    std::array<int32_t, kPlaces> values{};

    /// A bit for each place with `tag`; place_of() reads them.
    uint64_t places_with(uint8_t tag) const {
      uint64_t first = 0;
      uint32_t rest = 0;
      std::memcpy(&first, tags.data(), sizeof first);
      std::memcpy(&rest, tags.data() + sizeof first, sizeof rest);
      const uint64_t wanted = 0x0101010101010101u * tag;
      return zero_bytes(first ^ wanted) >> 7 | (zero_bytes(rest ^ wanted) & UINT32_MAX) >> 6;
    }
    /// kPlaces when `value` is not there.
    size_t place_with(uint8_t tag, int32_t value) const {
      for (uint64_t found = places_with(tag); found != 0; found &= found - 1) {
        const size_t i = place_of(found);
        if (values[i] == value) return i;
      }
      return kPlaces;
    }
  };

  /// 0x80 in each byte that is zero.
  static uint64_t zero_bytes(uint64_t word) {
    constexpr uint64_t kLow = 0x7f7f7f7f7f7f7f7fu;
    return ~(((word & kLow) + kLow) | word | kLow);
  }
  /// Of the lowest bit: byte k has one for place k and above it one for place 8 + k.
  static size_t place_of(uint64_t found) {
    const auto bit = static_cast<size_t>(std::countr_zero(found));
    return bit / 8 + bit % 8 * 8;
  }

  size_t home_of(uint64_t hash) const { return hash >> shift_; }
  uint8_t tag_of(uint64_t hash) const {
    return static_cast<uint8_t>(std::max<uint64_t>(1, hash >> (shift_ - 8) & 0xff));
  }
  size_t after(size_t at) const { return at + 1 == buckets_.size() ? 0 : at + 1; }
  void place(int32_t value, uint64_t hash) {
    size_t at = home_of(hash);
    uint64_t empty = buckets_[at].places_with(0);
    for (; empty == 0; empty = buckets_[at].places_with(0)) {
      ++buckets_[at].passed;
      at = after(at);
    }
    const size_t i = place_of(empty);
    buckets_[at].tags[i] = tag_of(hash);
    buckets_[at].values[i] = value;
    ++size_;
  }

  std::vector<Bucket> buckets_;  // a power of two of them, at least two
  int shift_ = 63;               // a hash's upper bits are its bucket, the eight below its tag
  size_t size_ = 0;
};

}  // namespace touchstone::scheduler
