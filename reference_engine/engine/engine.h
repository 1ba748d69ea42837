// The engine: the one thread that owns scheduling state. It takes requests from a bounded queue,
// plans steps with the scheduler, runs them on the backend, turns tokens into text, finds stop
// strings, and tells each request's sink what is new.
//
// Per step, in this order: arrivals and aborts are applied (the step log's `inputs`), schedule(),
// execute(), detokenize, complete(), and then outputs are delivered. First schedule and tokens have
// the step's start and end as their times, so a simulator with the recorded durations gets the
// same.
//
// submit(), abort(), close(), abort_all() and the getters are thread-safe; the rest happens on the
// engine's own thread. Source: vLLM 0.32 v1/engine/{core,output_processor}.py.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/bounded_queue.h"
#include "base/clock.h"
#include "base/random.h"
#include "base/result.h"
#include "records/request_record.h"
#include "records/step_log.h"
#include "reference_engine/backend/backend.h"
#include "reference_engine/scheduler/scheduler.h"
#include "reference_engine/server/api/generation_request.h"
#include "reference_engine/server/api/response.h"
#include "reference_engine/tokenizer/tokenizer.h"
#include "telemetry/prometheus/vllm_metrics.h"

namespace touchstone::engine {

/// One event of an answer.
struct EngineOutput {
  /// Set with the first output of a prompt's first choice: the prompt was computed.
  std::optional<server::api::PromptResult> prompt_done;
  size_t prompt_index = 0;
  server::api::Choice delta;  ///< what is new; its last one has a finish_reason
};

/// Where the outputs of one request go. Called on the engine thread; must not block.
class OutputSink {
 public:
  virtual ~OutputSink() = default;
  /// All outputs of one step.
  virtual void deliver(std::vector<EngineOutput> outputs) = 0;
  /// The engine failed; nothing follows.
  virtual void fail(const std::string& message) = 0;
};

/// One validated HTTP request, ready to run.
struct Submission {
  std::shared_ptr<const server::api::GenerationRequest>
      request;              ///< shared with who writes the answer
  std::string response_id;  ///< "cmpl-…", "chatcmpl-…"
  std::optional<records::TraceContext> trace;
  int64_t arrival_unix_ns = 0;
  int64_t arrival_ns = 0;
  /// Per prompt: hashes of its full blocks (made by the submitter, off the engine thread).
  std::vector<std::vector<scheduler::BlockHash>> prompt_hashes;
  /// Shared: connection and engine each let go when they are done, in either order.
  std::shared_ptr<OutputSink> sink;
};

/// What the engine tells telemetry. Called on the engine thread.
class EngineObserver {
 public:
  virtual ~EngineObserver() = default;
  /// After each step, before its outputs are delivered: a client that has its answer finds it
  /// counted.
  virtual void on_step(const records::StepRecord& step) = 0;
  /// With each step; once more, with nothing computed, when an abort leaves the engine idle.
  virtual void on_stats(const telemetry::StepStats& stats) = 0;
  /// Once for each choice that was accepted, when it is over.
  virtual void on_request(const records::RequestRecord& record) = 0;
  /// Nothing to do until the next arrival: a good moment to write buffers out.
  virtual void on_idle() = 0;
};

struct EngineOptions {
  scheduler::Config scheduler;
  uint64_t seed = 0;                      ///< of the stream that seeds unseeded requests
  size_t max_pending_submissions = 4096;  ///< not yet taken by the engine thread
  /// Choices not yet scheduled, --max-num-queued-reqs.
  std::optional<int64_t> max_num_queued_reqs = {};
};

class Engine final {
 public:
  /// All references outlive the engine. REQUIRES: backend.allocate_kv() was called with the
  /// configuration's blocks.
  Engine(const EngineOptions& options, const Clock& clock, backend::Backend& backend,
         const tokenizer::Tokenizer& tokenizer, EngineObserver& observer);
  /// Aborts what runs and waits for the thread.
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// Starts the thread. `on_exit` is called at its end, on it. Call once.
  void start(std::function<void()> on_exit);

  enum class Admission { kAccepted, kOverloaded, kClosed };
  struct Submitted {
    Admission admission = Admission::kClosed;
    uint64_t ticket = 0;  ///< for abort()
  };
  Submitted submit(Submission submission);
  /// The client is gone: frees the request's blocks before the next step. Unknown or finished
  /// tickets are fine.
  void abort(uint64_t ticket);
  /// Takes no more requests; the thread ends when the running ones are done.
  void close();
  /// Ends every request with finish reason "abort".
  void abort_all();

  /// Waits for the thread's end. REQUIRES close() before, or failed().
  void join();

  /// The backend failed; every request was told.
  bool failed() const { return failed_.load(); }
  /// Why, once failed().
  std::string failure() const;

 private:
  struct Answer;
  struct Sequence;
  using SequenceMap = std::map<scheduler::RequestId, std::unique_ptr<Sequence>>;

  void run();
  bool apply_inputs();
  void arrive(uint64_t ticket, Submission submission, int64_t now_ns);
  std::unique_ptr<Sequence> make_sequence(const std::shared_ptr<Answer>& answer,
                                          size_t prompt_index, int32_t i);
  scheduler::NewRequest scheduler_request(const Sequence& sequence) const;
  void abort_ticket(uint64_t ticket, int64_t now_ns);
  void abort_remaining();
  Status step();
  void prepare(const scheduler::StepPlan& plan, int64_t start_ns);
  void take_tokens(const scheduler::StepPlan& plan);
  std::vector<std::shared_ptr<Answer>> collect_outputs(
      const scheduler::StepPlan& plan, std::span<const scheduler::FinishedRequest> finished,
      int64_t end_ns);
  void count_token(const Sequence& sequence, int64_t end_ns);
  void report_stats();
  void finish(Sequence& sequence, records::Outcome outcome, int64_t now_ns);
  void log_trailing_inputs();
  void fail_all(const std::string& message);

  const EngineOptions options_;
  const Clock& clock_;
  backend::Backend& backend_;
  const tokenizer::Tokenizer& tokenizer_;
  EngineObserver& observer_;

  // Shared with submitting threads.
  struct Arrival {
    uint64_t ticket = 0;
    Submission submission;
  };
  BoundedQueue<Arrival> arrivals_;
  std::mutex abort_mutex_;
  std::vector<uint64_t> aborts_;
  std::atomic<uint64_t> next_ticket_{1};
  std::atomic<int64_t> queued_choices_{0};
  std::atomic<bool> abort_all_{false};
  std::atomic<bool> failed_{false};
  mutable std::mutex failure_mutex_;
  std::string failure_;

  // The engine thread's own.
  scheduler::Scheduler scheduler_;
  RandomStream seeds_;
  scheduler::RequestId next_id_ = 1;
  SequenceMap sequences_;
  std::map<uint64_t, std::shared_ptr<Answer>> answers_;  // by ticket
  std::vector<Sequence*> planned_;                       // of this step, in plan order
  std::vector<backend::SequenceStep> backend_steps_;
  std::vector<backend::SequenceOutput> backend_outputs_;
  std::vector<scheduler::SampledToken> sampled_;
  records::StepRecord step_record_;  // of the step to come or under way
  telemetry::StepStats step_stats_;  // likewise
  scheduler::Counters counted_;      // what stats reported so far
  int64_t next_step_ = 0;
  std::thread thread_;
};

}  // namespace touchstone::engine
