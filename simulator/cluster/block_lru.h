// The blocks that were used last, by the hash of what they hold. Thread-compatible.
#pragma once

#include <cstddef>
#include <list>
#include <span>
#include <unordered_map>

#include "reference_engine/scheduler/types.h"

namespace touchstone::simulator {

class BlockLru final {
 public:
  bool contains(const scheduler::BlockHash& hash) const { return at_.contains(hash); }
  size_t size() const { return by_age_.size(); }
  /// Makes them the latest, the first of them the very latest, so that a prefix is never older than
  /// what follows it; then forgets the oldest beyond `most`.
  void use(std::span<const scheduler::BlockHash> blocks, size_t most);

 private:
  struct HashOfBlock {
    size_t operator()(const scheduler::BlockHash& hash) const {
      return static_cast<size_t>(hash.words[0]);
    }
  };
  using ByAge = std::list<scheduler::BlockHash>;  // the latest first
  ByAge by_age_;
  std::unordered_map<scheduler::BlockHash, ByAge::iterator, HashOfBlock> at_;  // looked up only
};

}  // namespace touchstone::simulator
