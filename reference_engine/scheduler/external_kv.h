// Keys and values that can be had from outside of the block pool: from another server that computed
// the prompt, from the host's memory. What is had this way is not computed; its blocks are taken
// and filled like new ones. Source: vLLM 0.32 v1/core/sched/scheduler.py
// (connector.get_num_new_matched_tokens). Owned by the runner; called from schedule() alone.
#pragma once

#include <cstdint>

#include "reference_engine/scheduler/types.h"

namespace touchstone::scheduler {

class ExternalKv {
 public:
  virtual ~ExternalKv() = default;
  /// Leading tokens of the request that were delivered for it alone; 0: none.
  virtual int32_t delivered(RequestId id) = 0;
  /// Whether the content of a block can be fetched. Asked of the blocks after those in the pool, in
  /// order, until one is not held.
  virtual bool holds(const BlockHash& hash) = 0;
};

}  // namespace touchstone::scheduler
