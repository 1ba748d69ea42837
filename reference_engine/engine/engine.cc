#include "reference_engine/engine/engine.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "base/check.h"
#include "base/ids.h"
#include "reference_engine/lifecycle/schedule_log.h"
#include "reference_engine/scheduler/block_hash.h"
#include "reference_engine/tokenizer/detokenizer.h"

namespace touchstone::engine {
namespace {

bool contains(const std::vector<int32_t>& ids, int32_t id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
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

std::string hash_hex(const scheduler::BlockHash& hash) {
  std::array<uint8_t, 16> bytes{};
  for (size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<uint8_t>(hash.words[i / 8] >> (56 - 8 * (i % 8)));
  }
  return to_hex(bytes.data(), bytes.size());
}

}  // namespace

/// One submission while any of its choices runs.
struct Engine::Answer {
  uint64_t ticket = 0;
  Submission submission;
  std::vector<scheduler::RequestId> running;  // choices not yet finished
  std::vector<bool> prompt_done;              // by prompt
  std::vector<EngineOutput> outputs;          // of this step
};

/// One choice: the tokens and text behind a scheduler request.
struct Engine::Sequence {
  Sequence(const tokenizer::Tokenizer& tokenizer, tokenizer::DetokenizerOptions options)
      : detokenizer(tokenizer, std::move(options)) {}

  std::shared_ptr<Answer> answer;  // shared with answers_; gone when the last choice is
  size_t prompt_index = 0;
  int32_t choice_index = 0;
  std::vector<int32_t> tokens;  // prompt, then output
  size_t num_prompt_tokens = 0;
  sampling::Params params;
  std::vector<std::vector<sampling::TokenLogprob>> prompt_logprobs;  // by position
  tokenizer::Detokenizer detokenizer;
  std::string stop_string;  // the one that ended it
  bool text_ended = false;  // the detokenizer takes nothing more
  records::RequestRecord record;

  size_t num_output_tokens() const { return tokens.size() - num_prompt_tokens; }
};

Engine::Engine(const EngineOptions& options, const Clock& clock, backend::Backend& backend,
               const tokenizer::Tokenizer& tokenizer, EngineObserver& observer)
    : options_(options),
      clock_(clock),
      backend_(backend),
      tokenizer_(tokenizer),
      observer_(observer),
      arrivals_(options.max_pending_submissions),
      scheduler_(options.scheduler),
      seeds_(options.seed, "unseeded requests") {}

Engine::~Engine() {
  abort_all();
  close();
  join();
}

void Engine::start(std::function<void()> on_exit) {
  BASE_CHECK(!thread_.joinable(), "the engine was started twice");
  thread_ = std::thread([this, on_exit = std::move(on_exit)] {
    run();
    on_exit();
  });
}

Engine::Submitted Engine::submit(Submission submission) {
  const auto choices = static_cast<int64_t>(submission.request->prompts.size()) *
                       static_cast<int64_t>(submission.request->n);
  if (arrivals_.closed()) return {Admission::kClosed, 0};
  const int64_t queued = queued_choices_.fetch_add(choices) + choices;
  const bool too_many = options_.max_num_queued_reqs && queued > *options_.max_num_queued_reqs;
  Arrival arrival{next_ticket_.fetch_add(1), std::move(submission)};
  const uint64_t ticket = arrival.ticket;
  if (!too_many && arrivals_.try_push(arrival)) return {Admission::kAccepted, ticket};
  queued_choices_.fetch_sub(choices);
  return {arrivals_.closed() ? Admission::kClosed : Admission::kOverloaded, 0};
}

void Engine::abort(uint64_t ticket) {
  const std::lock_guard lock(abort_mutex_);
  aborts_.push_back(ticket);
}

void Engine::close() { arrivals_.close(); }

void Engine::join() {
  if (thread_.joinable()) thread_.join();
}

void Engine::abort_all() { abort_all_.store(true); }

std::string Engine::failure() const {
  const std::lock_guard lock(failure_mutex_);
  return failure_;
}

void Engine::run() {
  while (apply_inputs()) {
    if (!scheduler_.has_requests()) continue;
    const Status done = step();
    if (!done) {
      fail_all(done.error().message);
      break;
    }
  }
  log_trailing_inputs();
  observer_.on_idle();
}

/// False when there is nothing left to do, ever.
bool Engine::apply_inputs() {
  std::vector<Arrival> arrivals;
  std::vector<uint64_t> aborts;
  const bool idle = !scheduler_.has_requests();
  if (idle) {
    observer_.on_idle();
    arrivals = arrivals_.wait_and_take_all();
  }
  {
    // Aborts are taken before the rest of the arrivals: whatever is aborted here has been pushed
    // before, so its arrival is in what is taken now or earlier, and is applied first.
    const std::lock_guard lock(abort_mutex_);
    aborts.swap(aborts_);
  }
  for (Arrival& late : arrivals_.take_all()) arrivals.push_back(std::move(late));
  const int64_t now_ns = clock_.monotonic_ns();
  for (Arrival& arrival : arrivals) {
    arrive(arrival.ticket, std::move(arrival.submission), now_ns);
  }
  for (const uint64_t ticket : aborts) abort_ticket(ticket, now_ns);
  if (abort_all_.load()) abort_remaining();
  if (!idle && !scheduler_.has_requests()) report_stats();  // no step will show the empty engine
  return scheduler_.has_requests() || !arrivals_.closed() || arrivals_.size() > 0;
}

void Engine::arrive(uint64_t ticket, Submission submission, int64_t now_ns) {
  auto answer = std::make_shared<Answer>();
  answer->ticket = ticket;
  answer->submission = std::move(submission);
  const server::api::GenerationRequest& request = *answer->submission.request;
  answer->prompt_done.resize(request.prompts.size());
  for (size_t prompt_index = 0; prompt_index < request.prompts.size(); ++prompt_index) {
    for (int32_t i = 0; i < request.n; ++i) {
      std::unique_ptr<Sequence> sequence = make_sequence(answer, prompt_index, i);
      const scheduler::RequestId id = next_id_++;
      sequence->record.id = id;
      sequence->record.queued_ns = now_ns;
      scheduler_.add(scheduler_request(*sequence));
      step_record_.inputs.push_back(
          {.kind = records::StepInput::Kind::kArrive, .id = id, .time_ns = now_ns});
      answer->running.push_back(id);
      sequences_.emplace(id, std::move(sequence));
    }
  }
  answers_.emplace(ticket, std::move(answer));
}

std::unique_ptr<Engine::Sequence> Engine::make_sequence(const std::shared_ptr<Answer>& answer,
                                                        size_t prompt_index, int32_t i) {
  const server::api::GenerationRequest& request = *answer->submission.request;
  const server::api::Prompt& prompt = request.prompts[prompt_index];
  auto sequence = std::make_unique<Sequence>(
      tokenizer_,
      tokenizer::DetokenizerOptions{.stop = request.stop,
                                    .include_stop_in_output = request.include_stop_str_in_output,
                                    .skip_special_tokens = request.skip_special_tokens,
                                    .min_tokens = request.min_tokens});
  sequence->answer = answer;
  sequence->prompt_index = prompt_index;
  sequence->choice_index = static_cast<int32_t>(prompt_index) * request.n + i;
  sequence->tokens.reserve(prompt.token_ids.size() + static_cast<size_t>(prompt.max_tokens));
  sequence->tokens = prompt.token_ids;
  sequence->num_prompt_tokens = prompt.token_ids.size();
  sequence->params = request.sampling;
  sequence->params.seed = request.seed
                              ? static_cast<uint64_t>(*request.seed) + static_cast<uint64_t>(i)
                              : seeds_.next();
  if (request.prompt_logprobs) sequence->prompt_logprobs.resize(prompt.token_ids.size());

  const bool completions = request.endpoint == server::api::Endpoint::kCompletions;
  records::RequestRecord& record = sequence->record;
  record.request_id = answer->submission.response_id;
  if (completions) record.request_id += "-" + std::to_string(prompt_index);
  record.endpoint = completions ? "/v1/completions" : "/v1/chat/completions";
  record.model = request.model;
  record.trace = answer->submission.trace;
  record.arrival_unix_ns = answer->submission.arrival_unix_ns;
  record.arrival_ns = answer->submission.arrival_ns;
  record.prompt_tokens = static_cast<int64_t>(prompt.token_ids.size());
  record.max_tokens = prompt.max_tokens;
  record.min_tokens = request.min_tokens;
  record.temperature = request.sampling.temperature;
  record.top_p = request.sampling.top_p;
  record.top_k = request.sampling.top_k;
  record.n = request.n;
  record.choice = sequence->choice_index;
  record.choices = static_cast<int64_t>(request.prompts.size()) * request.n;
  record.ignore_eos = request.ignore_eos;
  record.priority = request.priority;
  record.skip_reading_prefix_cache = request.prompt_logprobs.has_value();
  record.block_size = options_.scheduler.block_size;
  return sequence;
}

scheduler::NewRequest Engine::scheduler_request(const Sequence& sequence) const {
  const Submission& submission = sequence.answer->submission;
  const server::api::GenerationRequest& request = *submission.request;
  const server::api::Prompt& prompt = request.prompts[sequence.prompt_index];
  const auto& hashes = submission.prompt_hashes[sequence.prompt_index];
  const size_t hashed = hashes.size() * static_cast<size_t>(options_.scheduler.block_size);
  return {.id = sequence.record.id,
          .arrival_ns = submission.arrival_ns,
          .priority = request.priority,
          .num_prompt_tokens = static_cast<int32_t>(prompt.token_ids.size()),
          .max_tokens = prompt.max_tokens,
          .min_tokens = request.min_tokens,
          .ignore_eos = request.ignore_eos,
          .eos_token_ids = request.eos_token_ids,
          .stop_token_ids = request.stop_token_ids,
          .block_hashes = hashes,
          .unhashed_tail = {prompt.token_ids.begin() + static_cast<std::ptrdiff_t>(hashed),
                            prompt.token_ids.end()},
          .chain_root = scheduler::root_hash(request.cache_salt),
          .skip_reading_prefix_cache = sequence.record.skip_reading_prefix_cache};
}

void Engine::abort_ticket(uint64_t ticket, int64_t now_ns) {
  const auto found = answers_.find(ticket);
  if (found == answers_.end()) return;  // finished meanwhile
  const std::shared_ptr<Answer> answer = found->second;
  const std::vector<scheduler::RequestId> running = answer->running;
  for (const scheduler::RequestId id : running) {
    step_record_.inputs.push_back(
        {.kind = records::StepInput::Kind::kAbort, .id = id, .time_ns = now_ns});
    scheduler_.abort(id);
    finish(*sequences_.at(id), records::Outcome::kAbort, now_ns);
  }
}

/// Unlike the abort of a client that has gone, these clients are told.
void Engine::abort_remaining() {
  const int64_t now_ns = clock_.monotonic_ns();
  while (!answers_.empty()) {
    const std::shared_ptr<Answer> answer = answers_.begin()->second;
    for (const scheduler::RequestId id : answer->running) {
      Sequence& sequence = *sequences_.at(id);
      EngineOutput output;
      output.prompt_index = sequence.prompt_index;
      if (!answer->prompt_done[sequence.prompt_index]) {
        output.prompt_done.emplace();
        answer->prompt_done[sequence.prompt_index] = true;
      }
      output.delta.index = sequence.choice_index;
      output.delta.finish_reason = to_string(scheduler::FinishReason::kAbort);
      sequence.detokenizer.finish();
      output.delta.text = sequence.detokenizer.take_delta();
      answer->outputs.push_back(std::move(output));
    }
    answer->submission.sink->deliver(std::move(answer->outputs));
    abort_ticket(answer->ticket, now_ns);
  }
}

Status Engine::step() {
  const int64_t start_ns = clock_.monotonic_ns();
  const scheduler::StepPlan& plan = scheduler_.schedule();
  BASE_CHECK(!plan.scheduled.empty(), "requests wait but none can run; free blocks ",
             scheduler_.state().free_blocks);
  prepare(plan, start_ns);
  next_step_ = plan.step + 1;
  lifecycle::add_plan(plan, scheduler_.state(), step_record_);
  RETURN_IF_ERROR(backend_.execute(backend_steps_, backend_outputs_));
  take_tokens(plan);
  const std::span<const scheduler::FinishedRequest> finished = scheduler_.complete(sampled_);
  const int64_t end_ns = clock_.monotonic_ns();
  step_record_.duration_ns = end_ns - start_ns;
  lifecycle::add_finished(finished, step_record_);
  const auto answers = collect_outputs(plan, finished, end_ns);
  observer_.on_step(std::exchange(step_record_, {}));
  report_stats();
  for (const std::shared_ptr<Answer>& answer : answers) {
    answer->submission.sink->deliver(std::exchange(answer->outputs, {}));
  }
  return {};
}

/// What the backend shall compute, and what the records learn from the plan.
void Engine::prepare(const scheduler::StepPlan& plan, int64_t start_ns) {
  step_record_.start_ns = start_ns;
  for (const scheduler::RequestId id : plan.preempted) sequences_.at(id)->record.preemptions += 1;
  planned_.clear();
  backend_steps_.clear();
  for (const scheduler::ScheduledRequest& scheduled : plan.scheduled) {
    Sequence& sequence = *sequences_.at(scheduled.id);
    planned_.push_back(&sequence);
    if (scheduled.first_schedule) {
      sequence.record.first_scheduled_ns = start_ns;
      sequence.record.cached_tokens = scheduled.num_cached_tokens;
      queued_choices_.fetch_sub(1);
    }
    const std::span<const int32_t> tokens = sequence.tokens;
    const auto position = static_cast<size_t>(scheduled.num_computed_tokens);
    backend_steps_.push_back(
        {.request_id = scheduled.id,
         .tokens = tokens.subspan(position, static_cast<size_t>(scheduled.num_scheduled_tokens)),
         .first_position = scheduled.num_computed_tokens,
         .block_table = scheduled.block_table,
         .sample = scheduled.samples_token,
         .params = &sequence.params,
         .history = {.prompt = tokens.first(sequence.num_prompt_tokens),
                     .output = tokens.subspan(sequence.num_prompt_tokens)},
         .prompt_logprobs =
             !sequence.prompt_logprobs.empty() && position + 1 < sequence.num_prompt_tokens});
  }
}

/// Appends the sampled tokens to their sequences and to their texts.
void Engine::take_tokens(const scheduler::StepPlan& plan) {
  sampled_.clear();
  for (size_t i = 0; i < plan.scheduled.size(); ++i) {
    Sequence& sequence = *planned_[i];
    const backend::SequenceOutput& output = backend_outputs_[i];
    for (size_t k = 0; k < output.prompt_logprobs.size(); ++k) {
      const size_t position = static_cast<size_t>(backend_steps_[i].first_position) + k + 1;
      if (position < sequence.prompt_logprobs.size()) {
        sequence.prompt_logprobs[position] = output.prompt_logprobs[k];
      }
    }
    if (!plan.scheduled[i].samples_token) continue;

    const int32_t token = output.sampled.token;
    const server::api::GenerationRequest& request = *sequence.answer->submission.request;
    sequence.tokens.push_back(token);
    const bool may_stop = sequence.num_output_tokens() >= static_cast<size_t>(request.min_tokens);
    const bool ends_by_token =
        may_stop && ((!request.ignore_eos && contains(request.eos_token_ids, token)) ||
                     contains(request.stop_token_ids, token));
    scheduler::SampledToken sampled{.id = plan.scheduled[i].id, .token = token};
    // The token that ends a completion is not part of its text.
    if (!ends_by_token || request.include_stop_str_in_output) {
      if (std::optional<std::string> stop = sequence.detokenizer.add(token)) {
        sequence.text_ended = true;
        if (!ends_by_token) {
          sequence.stop_string = std::move(*stop);
          sampled.stop_string = true;
        }
      }
    }
    sampled_.push_back(sampled);
  }
}

/// What each choice has to say now; finishes those that ended. Returns the answers with outputs, in
/// plan order.
std::vector<std::shared_ptr<Engine::Answer>> Engine::collect_outputs(
    const scheduler::StepPlan& plan, std::span<const scheduler::FinishedRequest> finished,
    int64_t end_ns) {
  std::vector<std::shared_ptr<Answer>> answers;
  size_t next_finished = 0;
  for (size_t i = 0; i < plan.scheduled.size(); ++i) {
    if (!plan.scheduled[i].samples_token) continue;
    Sequence& sequence = *planned_[i];
    const std::shared_ptr<Answer> answer = sequence.answer;
    count_token(sequence, end_ns);
    if (!sequence.record.first_token_ns) sequence.record.first_token_ns = end_ns;
    sequence.record.last_token_ns = end_ns;

    EngineOutput output;
    output.prompt_index = sequence.prompt_index;
    output.delta.index = sequence.choice_index;
    output.delta.token_ids = {sequence.tokens.back()};
    if (!backend_outputs_[i].sampled.logprobs.empty()) {
      output.delta.logprobs.push_back(std::move(backend_outputs_[i].sampled.logprobs));
    }
    if (!answer->prompt_done[sequence.prompt_index]) {
      answer->prompt_done[sequence.prompt_index] = true;
      output.prompt_done = server::api::PromptResult{
          .num_cached_tokens = static_cast<int32_t>(sequence.record.cached_tokens),
          .logprobs = sequence.prompt_logprobs};
    }
    const bool ends =
        next_finished < finished.size() && finished[next_finished].id == plan.scheduled[i].id;
    if (ends) {
      const scheduler::FinishedRequest& end = finished[next_finished++];
      output.delta.finish_reason = to_string(end.reason);
      if (!sequence.stop_string.empty()) {
        output.delta.stop_reason = sequence.stop_string;
        sequence.record.stop_reason = sequence.stop_string;
      } else if (end.stop_token) {
        output.delta.stop_reason = *end.stop_token;
        sequence.record.stop_reason = std::to_string(*end.stop_token);
      }
      if (!sequence.text_ended) sequence.detokenizer.finish();
    }
    output.delta.text = sequence.detokenizer.take_delta();
    if (answer->outputs.empty()) answers.push_back(answer);
    answer->outputs.push_back(std::move(output));
    if (ends) {
      // Its own instant, as in vLLM: siblings that end in one step are told apart by it.
      finish(sequence, outcome_of(finished[next_finished - 1].reason), clock_.monotonic_ns());
    }
  }
  BASE_CHECK(next_finished == finished.size(), "a request finished that was not sampled");
  return answers;
}

/// What a new token adds to the statistics. REQUIRES: the record does not know of it yet.
void Engine::count_token(const Sequence& sequence, int64_t end_ns) {
  const records::RequestRecord& record = sequence.record;
  step_stats_.generation_tokens += 1;
  if (record.last_token_ns) {
    step_stats_.inter_token_latency_ns.push_back(end_ns - *record.last_token_ns);
    return;
  }
  step_stats_.time_to_first_token_ns.push_back(end_ns - record.arrival_ns);
  step_stats_.prompt_tokens_cached += record.cached_tokens;
  step_stats_.prompt_tokens_computed += record.prompt_tokens - record.cached_tokens;
}

void Engine::report_stats() {
  const scheduler::State state = scheduler_.state();
  const scheduler::Counters& counters = scheduler_.counters();
  step_stats_.running = state.running;
  step_stats_.waiting = state.waiting;
  step_stats_.kv_cache_usage = state.kv_cache_usage();
  step_stats_.prefix_cache_queries = counters.prefix_cache_queries - counted_.prefix_cache_queries;
  step_stats_.prefix_cache_hits = counters.prefix_cache_hits - counted_.prefix_cache_hits;
  step_stats_.preemptions = counters.preemptions - counted_.preemptions;
  counted_ = counters;
  observer_.on_stats(std::exchange(step_stats_, {}));
}

/// The choice is over: writes its record and forgets it.
void Engine::finish(Sequence& sequence, records::Outcome outcome, int64_t now_ns) {
  records::RequestRecord& record = sequence.record;
  record.finished_ns = now_ns;
  record.completion_tokens = static_cast<int64_t>(sequence.num_output_tokens());
  record.outcome = outcome;
  if (!record.first_scheduled_ns) queued_choices_.fetch_sub(1);
  const std::shared_ptr<Answer> answer = sequence.answer;
  for (const scheduler::BlockHash& hash :
       scheduler::hash_blocks(answer->submission.request->cache_salt, sequence.tokens,
                              options_.scheduler.block_size)) {
    record.block_hashes.push_back(hash_hex(hash));
  }
  observer_.on_request(record);
  const scheduler::RequestId id = record.id;
  std::erase(answer->running, id);
  sequences_.erase(id);  // `sequence` and `record` are gone
  if (answer->running.empty()) answers_.erase(answer->ticket);
}

/// Inputs that no step followed (aborts before the end) still belong to the log: as a last record
/// without requests.
void Engine::log_trailing_inputs() {
  if (step_record_.inputs.empty() || failed()) return;
  const scheduler::State state = scheduler_.state();
  step_record_.start_ns = clock_.monotonic_ns();
  step_record_.step = next_step_;
  step_record_.free_blocks = state.free_blocks;
  step_record_.cached_blocks = state.cached_blocks;
  observer_.on_step(step_record_);
}

void Engine::fail_all(const std::string& message) {
  {
    const std::lock_guard lock(failure_mutex_);
    failure_ = message;
  }
  failed_.store(true);
  arrivals_.close();
  const int64_t now_ns = clock_.monotonic_ns();
  for (Arrival& arrival : arrivals_.take_all()) {
    arrive(arrival.ticket, std::move(arrival.submission), now_ns);
  }
  while (!answers_.empty()) {
    const std::shared_ptr<Answer> answer = answers_.begin()->second;
    answer->submission.sink->fail(message);
    const std::vector<scheduler::RequestId> running = answer->running;
    for (const scheduler::RequestId id : running) {
      Sequence& sequence = *sequences_.at(id);
      sequence.record.http_status = 500;
      sequence.record.error = "InternalServerError";
      finish(sequence, records::Outcome::kError, now_ns);
    }
  }
}

}  // namespace touchstone::engine
