// Remembers the tokens of words that took several merges. Thread-safe; bounded: a full shard takes
// no new words, so what is common (seen early) stays.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/mutex.h"
#include "reference_engine/tokenizer/bpe.h"

namespace touchstone::tokenizer {

class WordCache final {
 public:
  /// Appends the remembered tokens of `word`; false when there are none.
  bool append(std::string_view word, std::vector<int32_t>& out) {
    Shard& shard = shard_of(word);
    const MutexLock lock(shard.mutex);
    const auto found = shard.words.find(word);
    if (found == shard.words.end()) return false;
    out.insert(out.end(), found->second.begin(), found->second.end());
    return true;
  }

  void remember(std::string_view word, const int32_t* begin, const int32_t* end) {
    if (word.size() > kWordBytesMax) return;
    Shard& shard = shard_of(word);
    const MutexLock lock(shard.mutex);
    if (shard.words.size() >= kWordsPerShardMax) return;
    shard.words.try_emplace(std::string(word), begin, end);
  }

 private:
  static constexpr size_t kShards = 16;
  static constexpr size_t kWordsPerShardMax = 4096;
  static constexpr size_t kWordBytesMax = 64;
  struct Shard {
    Mutex mutex;
    StringMap<std::vector<int32_t>> words GUARDED_BY(mutex);
  };
  Shard& shard_of(std::string_view word) { return shards_[(StringHash{}(word) >> 7) % kShards]; }
  std::array<Shard, kShards> shards_;
};

}  // namespace touchstone::tokenizer
