#include "tests/engine/engine_fixture.h"

#include <utility>

#include "base/check.h"
#include "reference_engine/backend/registry.h"
#include "reference_engine/scheduler/block_hash.h"
#include "tests/support/paths.h"

namespace touchstone::engine {
namespace {

const std::string kModel = support::source_dir() + "/fixtures/models/vllm-capture";

}  // namespace

void KeepingSink::deliver(std::vector<Output> outputs) {
  const std::lock_guard lock(mutex_);
  for (const Output& output : outputs) {
    if (output.prompt) prompts_done_ += 1;
    Spoken& choice = choices_.at(static_cast<size_t>(output.choice));
    BASE_CHECK(!choice.finish_reason, "an output after the last one");
    choice.text += output.text;
    choice.token_ids.insert(choice.token_ids.end(), output.token_ids.begin(),
                            output.token_ids.end());
    if (output.finish_reason) choice.finish_reason = scheduler::to_string(*output.finish_reason);
    choice.stop_reason = output.stop_reason;
    if (output.prompt) choice.prompt_logprobs = output.prompt->logprobs;
    choice.logprobs.insert(choice.logprobs.end(), output.logprobs.begin(), output.logprobs.end());
    choice.outputs += 1;
    outputs_ += 1;
  }
  changed_.notify_all();
}

void KeepingSink::fail(const std::string& message) {
  const std::lock_guard lock(mutex_);
  failure_ = message;
  changed_.notify_all();
}

bool KeepingSink::ended() const {
  if (!failure_.empty()) return true;
  for (const Spoken& choice : choices_) {
    if (!choice.finish_reason) return false;
  }
  return true;
}

std::vector<Spoken> KeepingSink::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return ended(); });
  return choices_;
}

void KeepingSink::wait_for_outputs(size_t count) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return outputs_ >= count || ended(); });
}

std::string KeepingSink::failure() {
  const std::lock_guard lock(mutex_);
  return failure_;
}

size_t KeepingSink::num_outputs() {
  const std::lock_guard lock(mutex_);
  return outputs_;
}

size_t KeepingSink::num_prompts_done() {
  const std::lock_guard lock(mutex_);
  return prompts_done_;
}

const tokenizer::Tokenizer& capture_tokenizer() {
  static const std::unique_ptr<tokenizer::Tokenizer> kTokenizer =
      std::move(tokenizer::Tokenizer::load(kModel)).value();
  return *kTokenizer;
}

std::unique_ptr<backend::Backend> capture_backend(const scheduler::Config& config) {
  static const backend::Registry kBackends = backend::linked_backends();
  auto backend =
      kBackends.choose("cpu").value()->create(kModel, {.settings = {{"threads", "1"}}}).value();
  const Status allocated = backend->allocate_kv(config.num_blocks, config.block_size);
  BASE_CHECK(allocated.has_value());
  return backend;
}

scheduler::Config roomy_config() {
  return {.num_blocks = 513,
          .block_size = 16,
          .max_num_seqs = 64,
          .max_num_batched_tokens = 4096,
          .max_model_len = 256};
}

scheduler::Config tight_config() {
  return {.num_blocks = 13,
          .block_size = 16,
          .max_num_seqs = 8,
          .max_num_batched_tokens = 32,
          .max_model_len = 192};
}

std::vector<Submission> mixed_requests() {
  std::vector<Submission> requests;
  for (int i = 0; i < 10; ++i) {
    std::string prompt = i % 2 == 0 ? kQuestion + kQuestion : "Speak, ";
    for (int k = 0; k < i; ++k) prompt += "word " + std::to_string(k) + " ";
    Submission request = greedy(prompt, 20 + 7 * i);
    if (i % 3 == 1) {
      request.sampling.temperature = 0.9;
      request.sampling.top_p = 0.95;
      request.sampling.top_k = 50;
      request.seed = 1000 + i;
    }
    if (i % 4 == 2) {
      request.sampling.presence_penalty = 0.5;
      request.sampling.frequency_penalty = 0.3;
      request.sampling.repetition_penalty = 1.2;
    }
    if (i % 5 < 2) request.sampling.logprobs = 3;
    if (i == 6) request.sampling.prompt_logprobs = 1;
    requests.push_back(std::move(request));
  }
  return requests;
}

Submission greedy(const std::string& prompt, int32_t max_tokens) {
  Submission request;
  request.record.endpoint = "/v1/completions";
  request.record.model = "tiny";
  request.prompts.push_back({.token_ids = std::make_shared<const std::vector<int32_t>>(
                                 capture_tokenizer().encode(prompt, true)),
                             .max_tokens = max_tokens,
                             .block_hashes = {},
                             .request_id = {}});
  request.sampling.temperature = 0;
  request.ignore_eos = true;
  return request;
}

EngineUnderTest::EngineUnderTest(const EngineOptions& options,
                                 std::unique_ptr<backend::Backend> backend)
    : options_(options),
      backend_(backend ? std::move(backend) : capture_backend(options.scheduler)),
      engine_(
          std::make_unique<Engine>(options_, clock_, *backend_, capture_tokenizer(), observer_)) {
  engine_->start([] {});
}

EngineUnderTest::Started EngineUnderTest::start(const Submission& request) {
  Started started;
  started.sink =
      std::make_shared<KeepingSink>(request.prompts.size() * static_cast<size_t>(request.n));
  Submission submission = request;
  for (size_t i = 0; i < submission.prompts.size(); ++i) {
    Prompt& prompt = submission.prompts[i];
    prompt.request_id = "cmpl-test-" + std::to_string(i);
    prompt.block_hashes = scheduler::hash_blocks(request.chain_keys(), *prompt.token_ids,
                                                 options_.scheduler.block_size);
  }
  submission.record.arrival_unix_ns = clock_.unix_ns();
  submission.record.arrival_ns = clock_.monotonic_ns();
  submission.sink = started.sink;
  const Engine::Submitted submitted = engine_->submit(std::move(submission));
  started.admission = submitted.admission;
  started.ticket = submitted.ticket;
  return started;
}

std::vector<Spoken> EngineUnderTest::run(const Submission& request) {
  return start(request).sink->wait();
}

const KeepingObserver& EngineUnderTest::end() {
  engine_->close();
  engine_->join();
  return observer_;
}

}  // namespace touchstone::engine
