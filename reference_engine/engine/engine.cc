#include "reference_engine/engine/engine.h"

#include <algorithm>
#include <exception>
#include <functional>
#include <utility>

#include "base/check.h"
#include "reference_engine/engine/sequence.h"
#include "reference_engine/sampling/sampler.h"

namespace touchstone::engine {
namespace {

/// Of all its choices.
int64_t prompt_tokens(const Submission& submission) {
  int64_t tokens = 0;
  for (const Prompt& prompt : submission.prompts) tokens += std::ssize(*prompt.token_ids);
  return tokens * submission.n;
}

}  // namespace

Engine::Engine(const EngineOptions& options, const Clock& clock, backend::Backend& backend,
               const tokenizer::Tokenizer& tokenizer, EngineObserver& observer)
    : options_(options),
      clock_(clock),
      backend_(backend),
      bitmask_words_(sampling::bitmask_words(backend.model().vocab_size)),
      tokenizer_(tokenizer),
      observer_(observer),
      arrivals_(options.max_pending_submissions),
      scheduler_(options.scheduler),
      lives_({.block_size = options.scheduler.block_size,
              .block_hashes = observer.wants_hashes(),
              .statistics = true}),
      adapters_(backend, options.adapter_slots),
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
  const int64_t choices = std::ssize(submission.prompts) * submission.n;
  if (arrivals_.closed()) return {Admission::kClosed, 0};
  const int64_t tokens = prompt_tokens(submission);
  const int64_t queued = queued_choices_.fetch_add(choices) + choices;
  const int64_t queued_tokens = queued_tokens_.fetch_add(tokens) + tokens;
  const bool too_many = options_.max_num_queued_reqs && queued > *options_.max_num_queued_reqs;
  const bool too_long =
      options_.max_num_queued_tokens && queued_tokens > *options_.max_num_queued_tokens;
  Arrival arrival{next_ticket_.fetch_add(1), std::move(submission)};
  const uint64_t ticket = arrival.ticket;
  if (!too_many && !too_long && arrivals_.try_push(arrival)) return {Admission::kAccepted, ticket};
  queued_choices_.fetch_sub(choices);
  queued_tokens_.fetch_sub(tokens);
  if (arrivals_.closed()) return {Admission::kClosed, 0};
  return {too_long && !too_many ? Admission::kTooManyTokens : Admission::kOverloaded, 0};
}

void Engine::abort(uint64_t ticket) {
  {
    const MutexLock lock(abort_mutex_);
    aborts_.push_back(ticket);
  }
  wake();
}

void Engine::reset_prefix_cache(scheduler::Scheduler::Running running, ResetDone done) {
  const bool ended = [&] {
    const MutexLock lock(abort_mutex_);
    if (!ended_) resets_.push_back({running, done});
    return ended_;
  }();
  if (ended) return done(unavailable("The server is shutting down."));
  wake();
}

/// Between steps, once what was planned before is complete: a reset finds nobody half-way.
void Engine::reset_prefix_cache() {
  if (scheduler_.plans_in_flight() > 0) return;
  for (const Reset& reset : std::exchange(resets_due_, {})) {
    const bool preempts = reset.running == scheduler::Scheduler::Running::kPreempt;
    const bool done = scheduler_.reset_prefix_cache(reset.running);
    inputs_.push_back({.kind = records::StepInput::Kind::kResetPrefixCache,
                       .id = preempts ? 1U : 0U,
                       .time_ns = clock_.monotonic_ns()});
    reset.done(done);
  }
}

/// At the end: nobody waits for ever.
void Engine::refuse_resets() {
  std::vector<Reset> left = std::exchange(resets_due_, {});
  {
    const MutexLock lock(abort_mutex_);
    ended_ = true;
    for (Reset& reset : std::exchange(resets_, {})) left.push_back(std::move(reset));
  }
  for (const Reset& reset : left) reset.done(unavailable("The server is shutting down."));
}

/// An arrival of nothing. When there is no room for it, something else wakes the engine.
void Engine::wake() {
  if (wake_queued_.exchange(true)) return;
  Arrival nothing;
  if (!arrivals_.try_push(nothing)) wake_queued_.store(false);
}

/// Everything that has not begun waits for its constraint.
bool Engine::must_wait() const {
  if (scheduler_.has_requests() || scheduler_.plans_in_flight() > 0) return false;
  return std::ranges::all_of(unstarted_, [](const auto& answer) { return answer->is_pending(); });
}

void Engine::close() { arrivals_.close(); }

void Engine::join() {
  if (thread_.joinable()) thread_.join();
}

void Engine::abort_all() { abort_all_.store(true); }

std::string Engine::failure() const {
  const MutexLock lock(failure_mutex_);
  return failure_;
}

void Engine::run() {
  try {
    serve();
  } catch (const std::exception& error) {  // memory: everyone must still be told
    fail_all(std::string("the engine's thread ended: ") + error.what());
  }
  refuse_resets();
  observer_.on_idle();
}

void Engine::serve() {
  while (apply_inputs()) {
    const Status done = step();
    if (!done) return fail_all(done.error().message);
  }
  log_trailing_inputs();
}

/// False when there is nothing left to do, ever.
bool Engine::apply_inputs() {
  std::vector<Arrival> arrivals;
  std::vector<uint64_t> aborts;
  const bool idle = !has_work();
  if (must_wait()) {
    observer_.on_idle();
    arrivals = arrivals_.wait_and_take_all();
  }
  {
    // Aborts are taken before the rest of the arrivals: whatever is aborted here has been pushed
    // before, so its arrival is in what is taken now or earlier, and is applied first.
    const MutexLock lock(abort_mutex_);
    aborts.swap(aborts_);
    for (Reset& reset : std::exchange(resets_, {})) resets_due_.push_back(std::move(reset));
  }
  for (Arrival& late : arrivals_.take_all()) arrivals.push_back(std::move(late));
  wake_queued_.store(false);
  const int64_t now_ns = clock_.monotonic_ns();
  for (Arrival& arrival : arrivals) {
    if (arrival.ticket != 0) arrive(arrival.ticket, std::move(arrival.submission), now_ns);
  }
  for (const uint64_t ticket : aborts) abort_ticket(ticket, now_ns);
  reset_prefix_cache();
  if (abort_all_.load()) abort_remaining();
  if (arrivals_.closed()) end_pending();
  start_choices(now_ns);
  if (!idle && !has_work()) report_stats();  // no step will show the empty engine
  return has_work() || !arrivals_.closed() || arrivals_.size() > 0;
}

void Engine::arrive(uint64_t ticket, Submission submission, int64_t now_ns) {
  auto answer = std::make_shared<Answer>();
  answer->ticket = ticket;
  answer->submission = std::move(submission);
  answer->queued_ns = now_ns;
  answer->prompt_done.resize(answer->submission.prompts.size());
  answers_.emplace(ticket, answer);
  unstarted_.push_back(std::move(answer));
}

/// Gives each submission's next choices to the scheduler, or ends them when it was aborted: at most
/// max_num_seqs of each, since no step can admit more.
void Engine::start_choices(int64_t now_ns) {
  for (const std::shared_ptr<Answer>& answer : unstarted_) {
    for (int32_t i = 0; i < options_.scheduler.max_num_seqs && answer->num_unstarted() > 0; ++i) {
      if (answer->is_pending() && !answer->aborted) break;
      if (answer->constraint_failed() && !answer->aborted) {
        answer->submission.sink->fail(answer->submission.constraint->failure());
        answer->aborted = answer->refused = true;
      }
      if (answer->refused) {
        end_unstarted(*answer,
                      {.outcome = records::Outcome::kRefused,
                       .stop_reason = {},
                       .http_status = 400,
                       .error_type = "BadRequestError"},
                      now_ns);
      } else if (answer->aborted) {
        end_unstarted(*answer, {.outcome = records::Outcome::kAbort}, now_ns);
      } else if (answer->num_waiting < options_.scheduler.max_num_seqs) {
        start(answer, now_ns);
      }
    }
    if (!answer->outputs.empty()) {
      answer->submission.sink->deliver(std::exchange(answer->outputs, {}));
    }
    forget_if_done(*answer);
  }
  std::erase_if(unstarted_, [](const auto& answer) { return answer->num_unstarted() == 0; });
}

/// Whatever waits for its constraint when no more is taken would hold up the end: it is told so.
void Engine::end_pending() {
  for (const std::shared_ptr<Answer>& answer : unstarted_) {
    if (answer->is_pending() && !answer->aborted) answer->aborted = answer->tell_aborted = true;
  }
}

void Engine::start(const std::shared_ptr<Answer>& answer, int64_t now_ns) {
  const scheduler::RequestId id = next_id_++;
  const int32_t choice = answer->next_choice++;
  const uint64_t seed = answer->submission.seed ? 0 : seeds_.next();
  auto sequence = std::make_unique<Sequence>(answer, choice, id, seed, tokenizer_);
  lives_.arrive(answer->record(choice, id), answer->queued_ns);
  const Status added = scheduler_.add(sequence->scheduler_request(options_.scheduler.block_size));
  if (!added) return refuse(*answer, id, added.error(), now_ns);
  inputs_.push_back({.kind = records::StepInput::Kind::kArrive, .id = id, .time_ns = now_ns});
  answer->num_waiting += 1;
  sequences_.emplace(id, std::move(sequence));
  answer->running.push_back(id);
}

void Engine::leave_queue(const Answer& answer, int32_t choice) {
  const auto& prompt = answer.submission.prompts[static_cast<size_t>(choice / answer.submission.n)];
  queued_choices_.fetch_sub(1);
  queued_tokens_.fetch_sub(std::ssize(*prompt.token_ids));
}

/// The checks before the engine let something through that the scheduler cannot run: it costs this
/// answer, nobody else's.
void Engine::refuse(const Answer& answer, scheduler::RequestId id, const Error& error,
                    int64_t now_ns) {
  answer.submission.sink->fail(error.message);
  leave_queue(answer, answer.next_choice - 1);
  observer_.on_request(lives_.finish(id, lifecycle::internal_error_end(), now_ns, {}));
  abort_ticket(answer.ticket, now_ns);
}

/// The next choice is over before it was started.
void Engine::end_unstarted(Answer& answer, lifecycle::RequestEnd end, int64_t now_ns) {
  const scheduler::RequestId id = next_id_++;
  const int32_t choice = answer.next_choice++;
  lives_.arrive(answer.record(choice, id), answer.queued_ns);
  leave_queue(answer, choice);
  if (answer.tell_aborted) {
    answer.outputs.push_back(answer.new_output(choice));
    answer.outputs.back().finish_reason = scheduler::FinishReason::kAbort;
  }
  observer_.on_request(lives_.finish(id, std::move(end), now_ns, {}));
}

/// Once its outputs are delivered: until then a failure must reach it.
void Engine::forget_if_done(const Answer& answer) {
  if (answer.done()) answers_.erase(answer.ticket);
}

void Engine::abort_ticket(uint64_t ticket, int64_t now_ns) {
  const auto found = answers_.find(ticket);
  if (found == answers_.end()) return;  // finished meanwhile
  const std::shared_ptr<Answer> answer = found->second;
  end_answer(answer, {.outcome = records::Outcome::kAbort}, now_ns);
}

void Engine::end_answer(const std::shared_ptr<Answer>& answer, const lifecycle::RequestEnd& end,
                        int64_t now_ns) {
  answer->aborted = true;
  const std::vector<scheduler::RequestId> running = answer->running;
  for (const scheduler::RequestId id : running) {
    inputs_.push_back({.kind = records::StepInput::Kind::kAbort, .id = id, .time_ns = now_ns});
    finish(*sequences_.at(id), end, now_ns, scheduler_.block_hashes(id));
    scheduler_.abort(id);
  }
  forget_if_done(*answer);
}

/// Unlike the abort of a client that has gone, these clients are told.
void Engine::abort_remaining() {
  const int64_t now_ns = clock_.monotonic_ns();
  std::vector<std::shared_ptr<Answer>> remaining;
  for (const auto& [ticket, answer] : answers_) {
    if (!answer->aborted) remaining.push_back(answer);
  }
  for (const std::shared_ptr<Answer>& answer : remaining) {
    answer->tell_aborted = true;
    for (const scheduler::RequestId id : answer->running) {
      answer->outputs.push_back(sequences_.at(id)->aborted_output());
    }
    answer->submission.sink->deliver(std::exchange(answer->outputs, {}));
    abort_ticket(answer->ticket, now_ns);
  }
}

/// The choice is over: its record is made and the choice forgotten.
void Engine::finish(const Sequence& sequence, lifecycle::RequestEnd end, int64_t now_ns,
                    std::span<const scheduler::BlockHash> hashes) {
  const scheduler::RequestId id = sequence.id();
  const std::shared_ptr<Answer> answer = sequence.answer();
  end.detokenize_ns = sequence.detokenize_ns();
  end.output = sequence.captured();
  const records::RequestRecord& record = lives_.finish(id, std::move(end), now_ns, hashes);
  if (sequence.begun()) {
    backend_.end(id);
  } else {
    leave_queue(*answer, sequence.choice());
    answer->num_waiting -= 1;
  }
  const auto place = std::find(answer->running.begin(), answer->running.end(), id);
  *place = answer->running.back();
  answer->running.pop_back();
  for (Flight& flight : flights_) std::ranges::replace(flight.sequences, &sequence, nullptr);
  sequences_.erase(id);  // `sequence` is gone
  observer_.on_request(record);
}

/// Inputs that no step followed (aborts before the end) still belong to the log: as a last record
/// without requests.
void Engine::log_trailing_inputs() {
  const auto is_complete = [](const records::StepInput& input) {
    return input.kind == records::StepInput::Kind::kComplete;
  };
  if (std::ranges::all_of(inputs_, is_complete) || failed()) return;
  const scheduler::State state = scheduler_.state();
  records::StepRecord last;
  last.step = next_step_;
  last.planned_ns = last.start_ns = clock_.monotonic_ns();
  last.inputs = std::exchange(inputs_, {});
  last.free_blocks = state.free_blocks;
  last.cached_blocks = state.cached_blocks;
  observer_.on_step(last);
}

void Engine::fail_all(const std::string& message) {
  {
    const MutexLock lock(failure_mutex_);
    failure_ = message;
  }
  failed_.store(true);
  arrivals_.close();
  const int64_t now_ns = clock_.monotonic_ns();
  for (Arrival& arrival : arrivals_.take_all()) {
    if (arrival.ticket != 0) arrive(arrival.ticket, std::move(arrival.submission), now_ns);
  }
  unstarted_.clear();
  const lifecycle::RequestEnd end = lifecycle::internal_error_end();
  while (!answers_.empty()) {
    const std::shared_ptr<Answer> answer = answers_.begin()->second;
    answers_.erase(answers_.begin());
    answer->submission.sink->fail(message);
    const std::vector<scheduler::RequestId> running = answer->running;
    // The scheduler may have been interrupted: it is not asked for anything any more.
    for (const scheduler::RequestId id : running) finish(*sequences_.at(id), end, now_ns, {});
    while (answer->num_unstarted() > 0) end_unstarted(*answer, end, now_ns);
  }
}

}  // namespace touchstone::engine
