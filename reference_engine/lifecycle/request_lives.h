// What happens to each request from its arrival to its end: the one account that engine, simulator
// and replay keep, and the statistics of a step that follow from it. Time is handed in, real or
// virtual. Nothing is copied per event; no step allocates. Thread-compatible.
//
//   lives.arrive(record, now);              // with what is known at arrival
//   lives.planned(plan, start);             // after schedule()
//   lives.computed(plan, end);             // when its tokens are there
//   observe(lives.finish(finished, now));   // for each that is over
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "records/request_record.h"
#include "records/step_stats.h"
#include "reference_engine/scheduler/flat_index.h"
#include "reference_engine/scheduler/scheduler.h"
#include "reference_engine/scheduler/types.h"

namespace touchstone::lifecycle {

/// How a request ended, as its record says it.
struct RequestEnd {
  records::Outcome outcome = records::Outcome::kStop;
  std::string stop_reason = {};
  int64_t http_status = 200;
  std::string error_type = {};
  std::optional<int64_t> detokenize_ns = {};
  std::string output = {};  ///< its text, for a record with content
};

/// Of a request that the server could not serve.
RequestEnd internal_error_end();

/// What the scheduler's word means for the record.
records::Outcome outcome_of(scheduler::FinishReason reason);

/// The lives of one scheduler's requests.
class RequestLives final {
 public:
  struct Options {
    int32_t block_size = 16;
    bool block_hashes = false;  ///< records get their hashes, in hex
    bool statistics = false;    ///< take_stats() tells latencies and tokens
  };
  explicit RequestLives(const Options& options) : options_(options) {}

  /// The scheduler takes the request over. `record` holds what is known by now: who it is, its
  /// arrival, its prompt, what was asked for. REQUIRES: record.id is new.
  void arrive(records::RequestRecord&& record, int64_t now_ns);
  /// schedule() made `plan` now; its step starts now, or at the end of the one before when that is
  /// still under way.
  void planned(const scheduler::StepPlan& plan, int64_t planned_ns);
  /// The plan's tokens are there: one for each request that samples and was not finished meanwhile.
  void computed(const scheduler::StepPlan& plan, int64_t end_ns);
  /// It is over. `hashes`: the scheduler's, of its full blocks. The result is valid until the next
  /// arrive(). REQUIRES: the id is known.
  const records::RequestRecord& finish(scheduler::RequestId id, RequestEnd end, int64_t now_ns,
                                       std::span<const scheduler::BlockHash> hashes);

  bool knows(scheduler::RequestId id) const { return slot_of(id) != scheduler::FlatIndex::kNone; }
  /// What is known by now. REQUIRES: knows(id); the result is valid until the next arrive().
  const records::RequestRecord& record(scheduler::RequestId id);
  size_t size() const { return by_id_.size(); }

  /// What happened since the last call. REQUIRES Options::statistics.
  records::StepStats take_stats(const scheduler::Scheduler& scheduler);

 private:
  /// What changes with every token, apart from the rest: a step touches little memory.
  struct Pulse {
    scheduler::RequestId id = 0;  // kNobody in a free slot
    int64_t last_token_ns = 0;    // with tokens > 0
    int64_t tokens = 0;
  };

  int32_t slot_of(scheduler::RequestId id) const;
  uint64_t hash_of(int32_t slot) const;
  void end_chunk(scheduler::RequestId id, int64_t end_ns);
  void count_token(int32_t slot, int64_t now_ns);
  records::RequestRecord& settle(int32_t slot);
  void count_adapter(const std::string& name, int64_t change);

  const Options options_;
  std::vector<Pulse> pulses_;                    // by slot; slots are used again
  std::vector<records::RequestRecord> records_;  // by slot; without what the pulse has
  std::vector<int32_t> free_slots_;
  scheduler::FlatIndex by_id_;
  std::vector<int32_t> order_;  // slots in the order in which the last plan had them
  int64_t last_end_ns_ = 0;     // of the latest step that was computed
  records::StepStats stats_;
  std::vector<std::pair<std::string, int64_t>> adapters_;  // with requests, and how many
  scheduler::Counters counted_;                            // what take_stats() has told
};

}  // namespace touchstone::lifecycle
