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
#include <vector>

#include "base/check.h"
#include "base/huge_pages.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace touchstone::scheduler {

/// Hashes are told apart by their upper bits first.
class FlatIndex {
 public:
  static constexpr int32_t kNone = -1;

  /// Room for `count` entries without allocation. `hash_of(value)` is the hash of an entry.
  template <typename HashOf>
  void reserve(size_t count, const HashOf& hash_of) {
    if (count <= capacity()) return;
    Buckets old(std::bit_ceil(count / kFill + 2));
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
      const int32_t value = bucket.find(tag, matches);
      if (value != kNone || bucket.passed == 0) return value;
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
    // Mostly it would be in its own bucket, and there is room.
    const uint8_t tag = tag_of(hash);
    Bucket& home = buckets_[home_of(hash)];
    int32_t there = home.find(tag, matches);
    if (there == kNone && home.passed > 0) there = find(hash, matches);
    if (there != kNone) return there;
    const Places empty = home.places_with(0);
    if (empty == 0) {
      place(value, hash);
    } else {
      home.put(place_of(empty), tag, value);
      ++size_;
    }
    return kNone;
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

  using Places = uint32_t;  // a bit for each, the first one lowest
  struct alignas(64) Bucket {
    std::array<uint8_t, kPlaces> tags{};  // 0: the place is empty
    uint32_t passed = 0;                  // entries that found it full and stand further on
    std::array<int32_t, kPlaces> values{};

    Places places_with(uint8_t tag) const {
#if defined(__SSE2__)
      // The tags and the count after them.
      const __m128i all = _mm_load_si128(reinterpret_cast<const __m128i*>(tags.data()));
      const __m128i equal = _mm_cmpeq_epi8(all, _mm_set1_epi8(static_cast<char>(tag)));
      return static_cast<Places>(_mm_movemask_epi8(equal)) & ((1u << kPlaces) - 1);
#else
      Places found = 0;
      for (size_t i = 0; i < kPlaces; ++i) found |= static_cast<Places>(tags[i] == tag) << i;
      return found;
#endif
    }
    /// kPlaces when `value` is not there.
    size_t place_with(uint8_t tag, int32_t value) const {
      for (Places found = places_with(tag); found != 0; found &= found - 1) {
        const size_t i = place_of(found);
        if (values[i] == value) return i;
      }
      return kPlaces;
    }
    /// The value here with this tag for which `matches(value)` holds, or kNone.
    template <typename Matches>
    int32_t find(uint8_t tag, const Matches& matches) const {
      for (Places found = places_with(tag); found != 0; found &= found - 1) {
        const int32_t value = values[place_of(found)];
        if (matches(value)) return value;
      }
      return kNone;
    }
    void put(size_t at, uint8_t tag, int32_t value) {
      tags[at] = tag;
      values[at] = value;
    }
  };
  using Buckets = std::vector<Bucket, HugePageAllocator<Bucket>>;

  static size_t place_of(Places found) { return static_cast<size_t>(std::countr_zero(found)); }

  size_t home_of(uint64_t hash) const { return hash >> shift_; }
  uint8_t tag_of(uint64_t hash) const {
    return static_cast<uint8_t>(std::max<uint64_t>(1, hash >> (shift_ - 8) & 0xff));
  }
  size_t after(size_t at) const { return at + 1 == buckets_.size() ? 0 : at + 1; }
  void place(int32_t value, uint64_t hash) {
    size_t at = home_of(hash);
    Places empty = buckets_[at].places_with(0);
    for (; empty == 0; empty = buckets_[at].places_with(0)) {
      ++buckets_[at].passed;
      at = after(at);
    }
    buckets_[at].put(place_of(empty), tag_of(hash), value);
    ++size_;
  }

  Buckets buckets_;  // a power of two of them, at least two
  int shift_ = 63;   // a hash's upper bits are its bucket, the eight below its tag
  size_t size_ = 0;
};

}  // namespace touchstone::scheduler
