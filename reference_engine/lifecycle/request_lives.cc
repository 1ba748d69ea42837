#include "reference_engine/lifecycle/request_lives.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/check.h"
#include "reference_engine/scheduler/block_hash.h"

namespace touchstone::lifecycle {
namespace {

using scheduler::FlatIndex;
using scheduler::RequestId;

constexpr RequestId kNobody = std::numeric_limits<RequestId>::max();

/// Spreads sequential ids over all of the index.
uint64_t hash_id(RequestId id) { return id * 0x9e3779b97f4a7c15u; }

bool is_prefill(const scheduler::ScheduledRequest& share) {
  return share.num_computed_tokens < share.num_prompt_tokens;
}

}  // namespace

RequestEnd internal_error_end() {
  return {.outcome = records::Outcome::kError,
          .stop_reason = {},
          .http_status = 500,
          .error_type = "InternalServerError"};
}

records::Outcome outcome_of(scheduler::FinishReason reason) {
  switch (reason) {
    case scheduler::FinishReason::kStop:
      return records::Outcome::kStop;
    case scheduler::FinishReason::kLength:
      return records::Outcome::kLength;
    case scheduler::FinishReason::kAbort:
      return records::Outcome::kAbort;
    case scheduler::FinishReason::kError:
      return records::Outcome::kError;
  }
  BASE_CHECK(false, "finish reason ", static_cast<int>(reason));
}

void RequestLives::arrive(records::RequestRecord&& record, int64_t now_ns) {
  record.queued_ns = now_ns;
  record.block_size = options_.block_size;
  count_adapter(record.adapter, 1);
  const Pulse pulse{.id = record.id};
  int32_t slot = static_cast<int32_t>(records_.size());
  if (free_slots_.empty()) {
    pulses_.push_back(pulse);
    records_.push_back(std::move(record));
  } else {
    slot = free_slots_.back();
    free_slots_.pop_back();
    pulses_[static_cast<size_t>(slot)] = pulse;
    records_[static_cast<size_t>(slot)] = std::move(record);
  }
  by_id_.insert(slot, hash_of(slot), [this](int32_t s) { return hash_of(s); });
}

void RequestLives::planned(const scheduler::StepPlan& plan, int64_t planned_ns) {
  for (const RequestId id : plan.preempted) {
    records::RequestRecord& record = records_[static_cast<size_t>(slot_of(id))];
    record.preemptions += 1;
    record.preempted.push_back({.start_ns = planned_ns, .end_ns = 0});
  }
  for (const scheduler::ScheduledRequest& share : plan.scheduled) {
    if (!is_prefill(share) && !share.resumed) continue;  // nothing but a token will change
    records::RequestRecord& record = records_[static_cast<size_t>(slot_of(share.id))];
    if (share.first_schedule) {
      record.first_scheduled_ns = planned_ns;
      record.cached_tokens = share.num_cached_tokens;
    }
    if (share.resumed) record.preempted.back().end_ns = planned_ns;
    if (!is_prefill(share)) continue;
    record.prefill_chunks.push_back(
        {.start_ns = planned_ns, .end_ns = 0, .tokens = share.num_scheduled_tokens});
  }
}

/// The oldest chunk that is under way has ended.
void RequestLives::end_chunk(RequestId id, int64_t end_ns) {
  const int32_t slot = slot_of(id);
  if (slot == FlatIndex::kNone) return;  // finished meanwhile
  for (records::PrefillChunk& chunk : records_[static_cast<size_t>(slot)].prefill_chunks) {
    if (chunk.end_ns != 0) continue;
    chunk.start_ns = std::max(chunk.start_ns, last_end_ns_);
    chunk.end_ns = end_ns;
    return;
  }
}

/// Running requests keep their order, some leave and new ones come last: each is looked for where
/// the last plan had it, then one further, before the index is asked.
void RequestLives::computed(const scheduler::StepPlan& plan, int64_t end_ns) {
  if (pulses_.empty() || plan.scheduled.empty()) return;
  if (order_.size() < plan.scheduled.size() + 1) order_.resize(plan.scheduled.size() + 1, 0);
  const size_t last_place = order_.size() - 2;  // one further is still inside
  Pulse* const pulses = pulses_.data();
  size_t place = 0;  // where the next one is expected
  size_t count = 0;
  for (const scheduler::ScheduledRequest& share : plan.scheduled) {
    if (is_prefill(share)) end_chunk(share.id, end_ns);
    if (!share.samples_token) continue;
    int32_t slot = order_[place];
    if (pulses[slot].id != share.id) {
      slot = order_[place + 1];
      if (pulses[slot].id == share.id) {
        ++place;
      } else {
        slot = slot_of(share.id);
        if (slot == FlatIndex::kNone) continue;  // finished meanwhile
      }
    }
    place = std::min(place + 1, last_place);
    order_[count++] = slot;
    Pulse& pulse = pulses[slot];
    if (pulse.tokens == 0) records_[static_cast<size_t>(slot)].first_token_ns = end_ns;
    if (options_.statistics) count_token(slot, end_ns);
    pulse.tokens += 1;
    pulse.last_token_ns = end_ns;
  }
  last_end_ns_ = end_ns;
}

/// REQUIRES: the token is not counted in the pulse yet.
void RequestLives::count_token(int32_t slot, int64_t now_ns) {
  const Pulse& pulse = pulses_[static_cast<size_t>(slot)];
  stats_.generation_tokens += 1;
  if (pulse.tokens > 0) {
    stats_.inter_token_latency_ns.push_back(now_ns - pulse.last_token_ns);
    return;
  }
  const records::RequestRecord& record = records_[static_cast<size_t>(slot)];
  stats_.time_to_first_token_ns.push_back(now_ns - record.arrival_ns);
  stats_.prompt_tokens_cached += record.cached_tokens;
  stats_.prompt_tokens_computed += record.prompt_tokens - record.cached_tokens;
}

const records::RequestRecord& RequestLives::finish(RequestId id, RequestEnd end, int64_t now_ns,
                                                   std::span<const scheduler::BlockHash> hashes) {
  const int32_t slot = slot_of(id);
  BASE_CHECK(slot != FlatIndex::kNone, "request ", id, " has no life");
  records::RequestRecord& record = settle(slot);
  record.finished_ns = now_ns;
  record.outcome = end.outcome;
  record.stop_reason = std::move(end.stop_reason);
  record.http_status = end.http_status;
  record.error_type = std::move(end.error_type);
  record.detokenize_ns = end.detokenize_ns;
  if (record.content) record.content->output = std::move(end.output);
  if (!record.preempted.empty() && record.preempted.back().end_ns == 0) {
    record.preempted.back().end_ns = now_ns;
  }
  if (options_.block_hashes) {
    record.block_hashes.reserve(hashes.size());
    for (const scheduler::BlockHash& hash : hashes) {
      record.block_hashes.push_back(scheduler::to_hex(hash));
    }
  }
  count_adapter(record.adapter, -1);
  by_id_.erase(slot, hash_of(slot));
  pulses_[static_cast<size_t>(slot)].id = kNobody;
  free_slots_.push_back(slot);
  return record;
}

const records::RequestRecord& RequestLives::record(RequestId id) {
  const int32_t slot = slot_of(id);
  BASE_CHECK(slot != FlatIndex::kNone, "request ", id, " has no life");
  return settle(slot);
}

/// The record with what the pulse knows.
records::RequestRecord& RequestLives::settle(int32_t slot) {
  const Pulse& pulse = pulses_[static_cast<size_t>(slot)];
  records::RequestRecord& record = records_[static_cast<size_t>(slot)];
  record.completion_tokens = pulse.tokens;
  if (pulse.tokens > 0) record.last_token_ns = pulse.last_token_ns;
  return record;
}

records::StepStats RequestLives::take_stats(const scheduler::Scheduler& scheduler) {
  const scheduler::State state = scheduler.state();
  const scheduler::Counters& counters = scheduler.counters();
  stats_.running = state.running;
  stats_.waiting = state.waiting;
  stats_.waiting_deferred = state.waiting_deferred;
  stats_.kv_cache_usage = state.kv_cache_usage();
  stats_.prefix_cache_queries = counters.prefix_cache_queries - counted_.prefix_cache_queries;
  stats_.prefix_cache_hits = counters.prefix_cache_hits - counted_.prefix_cache_hits;
  stats_.preemptions = counters.preemptions - counted_.preemptions;
  counted_ = counters;
  for (const auto& [name, requests] : adapters_) stats_.adapters.push_back(name);
  return std::exchange(stats_, {});
}

void RequestLives::count_adapter(const std::string& name, int64_t change) {
  if (name.empty()) return;
  const auto found = std::ranges::find(adapters_, name, [](const auto& one) { return one.first; });
  if (found == adapters_.end()) {
    adapters_.emplace_back(name, change);
  } else if ((found->second += change) == 0) {
    adapters_.erase(found);
  }
}

uint64_t RequestLives::hash_of(int32_t slot) const {
  return hash_id(pulses_[static_cast<size_t>(slot)].id);
}

int32_t RequestLives::slot_of(RequestId id) const {
  return by_id_.find(hash_id(id),
                     [&](int32_t s) { return pulses_[static_cast<size_t>(s)].id == id; });
}

}  // namespace touchstone::lifecycle
