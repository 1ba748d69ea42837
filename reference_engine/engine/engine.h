// The engine: the one thread that owns scheduling state. It takes requests from a bounded queue,
// plans steps with the scheduler, runs them on the backend, turns tokens into text, finds stop
// strings, and tells each request's sink what is new.
//
// Per step, in this order: arrivals and aborts are applied (the step log's `inputs`), schedule(),
// submit(), wait(), detokenize, complete(), and then outputs are delivered. First schedule and
// tokens have the step's planning and end as their times, so a simulator with the recorded
// durations gets the same.
//
// With asynchronous scheduling, arrivals and aborts are applied and the next step is planned and
// submitted between submit() and wait(). What a step in flight yields for a choice that is over
// meanwhile is dropped.
//
// A submission has at most max_num_seqs choices in the scheduler's queue; the others follow as
// those are scheduled, so that one with very many neither takes memory for them nor stalls the
// rest.
//
// submit(), abort(), close(), abort_all() and the getters are thread-safe; the rest happens on the
// engine's own thread. Source: vLLM 0.32 v1/engine/{core,output_processor}.py.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/bounded_queue.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "base/random.h"
#include "base/result.h"
#include "records/request_record.h"
#include "records/step_log.h"
#include "records/step_stats.h"
#include "reference_engine/backend/backend.h"
#include "reference_engine/engine/adapter_slots.h"
#include "reference_engine/engine/submission.h"
#include "reference_engine/lifecycle/request_lives.h"
#include "reference_engine/scheduler/scheduler.h"
#include "reference_engine/tokenizer/tokenizer.h"

namespace touchstone::engine {

class Sequence;
struct Answer;

/// What the engine tells telemetry. Called on the engine thread.
class EngineObserver {
 public:
  virtual ~EngineObserver() = default;
  /// After each step, before its outputs are delivered: a client that has its answer finds it
  /// counted.
  virtual void on_step(const records::StepRecord& step) = 0;
  /// With each step; once more, with nothing computed, when an abort leaves the engine idle.
  virtual void on_stats(const records::StepStats& stats) = 0;
  /// Once for each choice that was accepted, when it is over.
  virtual void on_request(const records::RequestRecord& record) = 0;
  /// Nothing to do until the next arrival: a good moment to write buffers out.
  virtual void on_idle() = 0;
  /// True: records have their block hashes, in hex.
  virtual bool wants_hashes() const { return false; }
};

struct EngineOptions {
  scheduler::Config scheduler;
  uint64_t seed = 0;                      ///< of the stream that seeds unseeded requests
  int32_t adapter_slots = 0;              ///< of the backend: room for two plans' adapters
  size_t max_pending_submissions = 4096;  ///< not yet taken by the engine thread
  /// Choices not yet scheduled, --max-num-queued-reqs.
  std::optional<int64_t> max_num_queued_reqs = {};
  /// Prompt tokens of those, --max-num-queued-tokens.
  std::optional<int64_t> max_num_queued_tokens = {};
};

class Engine final {
 public:
  /// All references outlive the engine. REQUIRES: backend.allocate_kv() was called with the
  /// configuration's blocks; with async_scheduling it takes two plans in flight.
  Engine(const EngineOptions& options, const Clock& clock, backend::Backend& backend,
         const tokenizer::Tokenizer& tokenizer, EngineObserver& observer);
  /// Aborts what runs and waits for the thread.
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// Starts the thread. `on_exit` is called at its end, on it. Call once.
  void start(std::function<void()> on_exit);

  enum class Admission {
    kAccepted,
    kOverloaded,     ///< too many choices wait
    kTooManyTokens,  ///< too many prompt tokens wait
    kClosed
  };
  struct Submitted {
    Admission admission = Admission::kClosed;
    uint64_t ticket = 0;  ///< for abort()
  };
  Submitted submit(Submission submission);
  /// The client is gone: frees the request's blocks before the next step. Unknown or finished
  /// tickets are fine.
  void abort(uint64_t ticket);
  /// The constraint of a submission is not pending any more.
  void wake();
  /// Forgets the prefix cache before the next step; `done` is called on the engine thread, false:
  /// requests hold blocks (kKeep). At once, with an error, when the engine has ended.
  using ResetDone = std::function<void(Result<bool>)>;
  void reset_prefix_cache(scheduler::Scheduler::Running running, ResetDone done);
  /// Takes no more requests; the thread ends when the running ones are done.
  void close();
  /// Ends every request with finish reason "abort".
  void abort_all();

  /// Waits for the thread's end. REQUIRES close() before, or failed().
  void join();

  /// The backend or the engine itself failed; every request was told.
  bool failed() const { return failed_.load(); }
  /// Why, once failed().
  std::string failure() const;

 private:
  using SequenceMap = std::map<scheduler::RequestId, std::unique_ptr<Sequence>>;

  /// A step from its planning until its outputs are taken in.
  struct Flight {
    const scheduler::StepPlan* plan = nullptr;
    std::vector<Sequence*> sequences;    // in plan order; null once the choice is over
    std::vector<int32_t> adapter_slots;  // that its entries hold
    records::StepRecord record;
  };

  void run();
  bool apply_inputs();
  void serve();
  bool has_work() const {
    return scheduler_.has_requests() || scheduler_.plans_in_flight() > 0 || !unstarted_.empty();
  }
  /// There is nothing to do until somebody says so.
  bool must_wait() const;
  void arrive(uint64_t ticket, Submission submission, int64_t now_ns);
  void start_choices(int64_t now_ns);
  void start(const std::shared_ptr<Answer>& answer, int64_t now_ns);
  /// A choice that waited does so no more.
  void leave_queue(const Answer& answer, int32_t choice);
  void refuse(const Answer& answer, scheduler::RequestId id, const Error& error, int64_t now_ns);
  void end_unstarted(Answer& answer, lifecycle::RequestEnd end, int64_t now_ns);
  void forget_if_done(const Answer& answer);
  void abort_ticket(uint64_t ticket, int64_t now_ns);
  /// Ends all choices of an answer that run; those that are not started are aborted.
  void end_answer(const std::shared_ptr<Answer>& answer, const lifecycle::RequestEnd& end,
                  int64_t now_ns);
  void abort_remaining();
  void reset_prefix_cache();
  void refuse_resets();
  void end_pending();

  // engine_step.cc
  Status step();
  bool any_constrained() const;
  Result<bool> plan_step();
  Status prepare(Flight& flight);
  void fill_bitmask(Sequence& sequence, const scheduler::ScheduledRequest& scheduled);
  void fail_answer(const std::shared_ptr<Answer>& answer, const std::string& why);
  std::optional<int32_t> adapter_slot(const std::shared_ptr<Answer>& answer, Flight& flight);
  void end_failed(int64_t now_ns);
  Status complete_step();
  Flight& newest();
  void take_tokens(const Flight& flight);
  std::vector<std::shared_ptr<Answer>> collect_outputs(
      const Flight& flight, std::span<const scheduler::FinishedRequest> finished);
  void report_stats();

  void finish(const Sequence& sequence, lifecycle::RequestEnd end, int64_t now_ns,
              std::span<const scheduler::BlockHash> hashes);
  void log_trailing_inputs();
  void fail_all(const std::string& message);

  const EngineOptions options_;
  const Clock& clock_;
  backend::Backend& backend_;
  const int64_t bitmask_words_;  // of a mask over the model's vocabulary
  const tokenizer::Tokenizer& tokenizer_;
  EngineObserver& observer_;

  // Shared with submitting threads.
  struct Arrival {
    uint64_t ticket = 0;
    Submission submission;
  };
  BoundedQueue<Arrival> arrivals_;
  Mutex abort_mutex_;
  std::vector<uint64_t> aborts_ GUARDED_BY(abort_mutex_);
  struct Reset {
    scheduler::Scheduler::Running running;
    ResetDone done;
  };
  std::vector<Reset> resets_ GUARDED_BY(abort_mutex_);
  bool ended_ GUARDED_BY(abort_mutex_) = false;
  std::atomic<uint64_t> next_ticket_{1};
  std::atomic<int64_t> queued_choices_{0};
  std::atomic<int64_t> queued_tokens_{0};
  std::atomic<bool> abort_all_{false};
  std::atomic<bool> wake_queued_{false};  // an arrival of nothing stands in the queue
  std::atomic<bool> failed_{false};
  mutable Mutex failure_mutex_;
  std::string failure_ GUARDED_BY(failure_mutex_);

  // The engine thread's own.
  scheduler::Scheduler scheduler_;
  lifecycle::RequestLives lives_;
  AdapterSlots adapters_;
  std::vector<std::shared_ptr<Answer>> failed_answers_;  // not told yet
  RandomStream seeds_;
  scheduler::RequestId next_id_ = 1;
  SequenceMap sequences_;
  std::map<uint64_t, std::shared_ptr<Answer>> answers_;  // by ticket
  std::vector<Reset> resets_due_;                        // once no plan is in flight
  std::vector<std::shared_ptr<Answer>> unstarted_;       // those with choices to start, by arrival
  std::array<Flight, 2> flights_;
  size_t oldest_ = 0;  // of those in flight
  std::vector<backend::Entry> backend_entries_;
  backend::Outputs backend_outputs_;
  std::vector<scheduler::SampledToken> sampled_;
  std::vector<records::StepInput> inputs_;  // since the last plan
  int64_t next_step_ = 0;
  int64_t last_end_ns_ = 0;  // of the latest step that is over
  std::thread thread_;
};

}  // namespace touchstone::engine
