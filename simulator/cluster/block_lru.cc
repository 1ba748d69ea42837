#include "simulator/cluster/block_lru.h"

namespace touchstone::simulator {

void BlockLru::use(std::span<const scheduler::BlockHash> blocks, size_t most) {
  for (size_t i = blocks.size(); i-- > 0;) {
    const auto found = at_.find(blocks[i]);
    if (found != at_.end()) {
      by_age_.splice(by_age_.begin(), by_age_, found->second);
    } else {
      by_age_.push_front(blocks[i]);
      at_.emplace(blocks[i], by_age_.begin());
    }
  }
  while (by_age_.size() > most) {
    at_.erase(by_age_.back());
    by_age_.pop_back();
  }
}

}  // namespace touchstone::simulator
