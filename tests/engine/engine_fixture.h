// An engine on the real scheduler and the real CPU backend, with sinks and an observer that keep
// what they are told. For the tests of this folder.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "reference_engine/backend/backend.h"
#include "reference_engine/engine/engine.h"
#include "reference_engine/tokenizer/tokenizer.h"

namespace touchstone::engine {

/// One choice as it came out of the engine.
struct Spoken {
  std::string text;
  std::vector<int32_t> token_ids;
  std::optional<std::string> finish_reason;  // in words
  StopReason stop_reason;
  TokenLogprobs logprobs;
  TokenLogprobs prompt_logprobs;
  size_t outputs = 0;
};

/// Keeps a request's outputs. Thread-safe.
class KeepingSink final : public OutputSink {
 public:
  explicit KeepingSink(size_t choices) : choices_(choices) {}

  void deliver(std::vector<Output> outputs) override;
  void fail(const std::string& message) override;

  /// Waits until every choice has ended or the engine failed.
  std::vector<Spoken> wait();
  /// Waits until `count` outputs have come.
  void wait_for_outputs(size_t count);
  std::string failure();
  size_t num_outputs();
  size_t num_prompts_done();

 private:
  bool ended() const;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Spoken> choices_;
  std::string failure_;
  size_t outputs_ = 0;
  size_t prompts_done_ = 0;
};

/// The real backend. What a test watches or breaks, it overrides.
class ForwardingBackend : public backend::Backend {
 public:
  explicit ForwardingBackend(std::unique_ptr<backend::Backend> real) : real_(std::move(real)) {}
  const backend::ModelInfo& model() const override { return real_->model(); }
  Result<backend::Sizes> size(const backend::Limits& limits) override {
    return real_->size(limits);
  }
  Status allocate_kv(int64_t num_blocks, int32_t block_size) override {
    return real_->allocate_kv(num_blocks, block_size);
  }
  Status load_adapter(int32_t slot, const backend::AdapterSource& source) override {
    return real_->load_adapter(slot, source);
  }
  Status begin(backend::RequestId id, const sampling::Params& params,
               std::span<const int32_t> prompt) override {
    return real_->begin(id, params, prompt);
  }
  void preempted(backend::RequestId id) override { real_->preempted(id); }
  void end(backend::RequestId id) override { real_->end(id); }
  Status submit(const backend::Plan& plan) override { return real_->submit(plan); }
  Status wait(backend::Outputs& outputs) override { return real_->wait(outputs); }

 private:
  std::unique_ptr<backend::Backend> real_;
};

/// Keeps all telemetry. Read it after the engine has ended.
class KeepingObserver final : public EngineObserver {
 public:
  void on_step(const records::StepRecord& step) override { steps.push_back(step); }
  void on_stats(const records::StepStats& step_stats) override { stats.push_back(step_stats); }
  void on_request(const records::RequestRecord& record) override { records.push_back(record); }
  void on_idle() override {}
  bool wants_hashes() const override { return true; }

  std::vector<records::StepRecord> steps;
  std::vector<records::StepStats> stats;
  std::vector<records::RequestRecord> records;
};

/// The capture model's tokenizer, loaded once.
const tokenizer::Tokenizer& capture_tokenizer();
/// A backend of the capture model with `config`'s blocks.
std::unique_ptr<backend::Backend> capture_backend(const scheduler::Config& config);

/// Room for everything: no request ever waits or is preempted.
scheduler::Config roomy_config();
/// 12 blocks of 16 tokens, 32 tokens a step: chunked prefills and preemptions.
scheduler::Config tight_config();

inline const std::string kQuestion = "To be, or not to be, that is the question: ";

/// Requests of every kind: short and long, greedy and seeded, some with a common prefix, with
/// penalties, with log-probabilities.
std::vector<Submission> mixed_requests();

/// A request for greedy text of at most `max_tokens` tokens.
Submission greedy(const std::string& prompt, int32_t max_tokens);

/// An engine that runs until end() or its destruction.
class EngineUnderTest final {
 public:
  explicit EngineUnderTest(const EngineOptions& options,
                           std::unique_ptr<backend::Backend> backend = nullptr);

  struct Started {
    Engine::Admission admission;
    uint64_t ticket;
    std::shared_ptr<KeepingSink> sink;
  };
  Started start(const Submission& request);
  /// Starts and waits.
  std::vector<Spoken> run(const Submission& request);
  /// Closes, waits for the end, and gives the telemetry.
  const KeepingObserver& end();
  Engine& engine() { return *engine_; }

 private:
  RealClock clock_;
  EngineOptions options_;
  KeepingObserver observer_;
  std::unique_ptr<backend::Backend> backend_;
  std::unique_ptr<Engine> engine_;
};

}  // namespace touchstone::engine
