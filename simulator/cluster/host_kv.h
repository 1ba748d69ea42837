// Keys and values that a simulated server can have without computing them: those of prompts that
// another server computed and sent, and blocks that it keeps in the host's memory. As in vLLM's
// connectors: what was computed is copied to the host as it is made and costs the step nothing;
// what is fetched back delays the step that fetches it. Thread-compatible.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>

#include "reference_engine/scheduler/external_kv.h"
#include "simulator/cluster/block_lru.h"

namespace touchstone::simulator {

/// Blocks in the host's memory, the least recently used of which make room.
struct OffloadOptions {
  int64_t blocks = 0;
  double bytes_per_token = 0;
  double bytes_per_s = 0;  ///< from the host to the device
};

class HostKv final : public scheduler::ExternalKv {
 public:
  explicit HostKv(const std::optional<OffloadOptions>& offload) : offload_(offload) {}

  /// A request's prompt of so many tokens is here. It is for its first admission: a preemption
  /// loses it.
  void deliver(scheduler::RequestId id, int32_t tokens) { delivered_[id] = tokens; }
  void forget(scheduler::RequestId id) { delivered_.erase(id); }
  /// Blocks that a step filled.
  void store(std::span<const scheduler::BlockHash> blocks);
  bool stores() const { return offload_.has_value(); }

  int32_t delivered(scheduler::RequestId id) override;
  bool holds(const scheduler::BlockHash& hash) override;
  /// How long the tokens that `r` gets from the host keep its step waiting.
  int64_t fetch_ns(const scheduler::ScheduledRequest& r);

 private:
  const std::optional<OffloadOptions> offload_;
  BlockLru blocks_;
  std::unordered_map<scheduler::RequestId, int32_t> delivered_;  // looked up only
};

}  // namespace touchstone::simulator
