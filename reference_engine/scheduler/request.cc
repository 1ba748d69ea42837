#include "reference_engine/scheduler/request.h"

#include <utility>

namespace touchstone::scheduler {
namespace {

/// Spreads sequential ids over all of the index.
uint64_t hash_id(RequestId id) { return (id ^ (id >> 31)) * 0x9e3779b97f4a7c15u; }

}  // namespace

Request* RequestTable::find(RequestId id) {
  const int32_t slot = by_id_.find(
      hash_id(id), [&](int32_t s) { return storage_[static_cast<size_t>(s)].id == id; });
  return slot == FlatIndex::kNone ? nullptr : &storage_[static_cast<size_t>(slot)];
}

Request& RequestTable::add(RequestId id) {
  if (free_slots_.empty()) {
    free_slots_.push_back(static_cast<int32_t>(storage_.size()));
    storage_.emplace_back();
    // Room to give every slot back without allocating in a step.
    if (free_slots_.capacity() < storage_.size()) free_slots_.reserve(2 * storage_.size());
  }
  const int32_t slot = free_slots_.back();
  free_slots_.pop_back();
  Request& request = storage_[static_cast<size_t>(slot)];
  std::vector<BlockId> blocks = std::move(request.blocks);  // keeps its capacity
  request = Request{};
  request.blocks = std::move(blocks);
  request.slot = slot;
  request.id = id;
  by_id_.insert(slot, hash_id(id),
                [this](int32_t s) { return hash_id(storage_[static_cast<size_t>(s)].id); });
  return request;
}

void RequestTable::forget(const Request& request) {
  by_id_.erase(request.slot, hash_id(request.id));
}

void RequestTable::recycle(Request& request) {
  request.hashes = {};  // a long prompt's are large
  request.hash_source.reset();
  free_slots_.push_back(request.slot);
}

}  // namespace touchstone::scheduler
