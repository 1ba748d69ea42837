// One choice while it runs: its tokens and its text, and what it has to say after a step.
// Thread-compatible; the engine thread's own.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "records/request_record.h"
#include "reference_engine/backend/backend.h"
#include "reference_engine/engine/submission.h"
#include "reference_engine/scheduler/types.h"
#include "reference_engine/tokenizer/detokenizer.h"
#include "reference_engine/tokenizer/tokenizer.h"

namespace touchstone::engine {

/// One submission while any of its choices runs or waits. Its choices are started one after the
/// other, so that many of them cost nothing until their turn comes.
struct Answer {
  uint64_t ticket = 0;
  Submission submission;
  int64_t queued_ns = 0;                      ///< when the engine thread took it over
  int32_t next_choice = 0;                    ///< those from here on are not started
  int32_t num_waiting = 0;                    ///< started, and never scheduled so far
  std::vector<scheduler::RequestId> running;  ///< started and not finished, in no order
  std::vector<bool> prompt_done;              ///< by prompt
  std::vector<Output> outputs;                ///< of this step
  bool aborted = false;                       ///< what is not started never will be
  bool refused = false;                       ///< because its constraint could not be made
  bool tell_aborted = false;                  ///< and its sink is told so
  /// What it needs is not to be had: what it yields is no answer. Empty: nothing is wrong.
  std::string failure;

  int32_t num_choices() const {
    return static_cast<int32_t>(submission.prompts.size()) * submission.n;
  }
  int32_t num_unstarted() const { return num_choices() - next_choice; }
  bool done() const { return running.empty() && num_unstarted() == 0; }
  /// Its constraint is still being made.
  bool is_pending() const { return constraint_is(ConstraintSource::State::kPending); }
  bool constraint_failed() const { return constraint_is(ConstraintSource::State::kFailed); }
  bool constraint_is(ConstraintSource::State state) const {
    return submission.constraint != nullptr && submission.constraint->state() == state;
  }
  /// An output of `choice` that says nothing yet; the first of its prompt has a `prompt`.
  Output new_output(int32_t choice);
  /// What the record of `choice` says from the start: who it is and what was asked for.
  records::RequestRecord record(int32_t choice, scheduler::RequestId id) const;
};

class Sequence final {
 public:
  /// Choice number `choice` (prompt index * n + i) of `answer`. `seed` counts when the submission
  /// has none. `tokenizer` outlives this.
  Sequence(std::shared_ptr<Answer> answer, int32_t choice, scheduler::RequestId id, uint64_t seed,
           const tokenizer::Tokenizer& tokenizer);

  scheduler::RequestId id() const { return id_; }
  int32_t choice() const { return choice_; }
  /// What it may say depends on what it said last.
  bool constrained() const { return constraint_ != nullptr; }
  const std::shared_ptr<Answer>& answer() const { return answer_; }
  /// The backend knows of it.
  void set_begun() { begun_ = true; }
  bool begun() const { return begun_; }
  size_t num_output_tokens() const { return known_tokens().size() - num_prompt_tokens_; }

  /// What the scheduler needs to know of it. `block_size`: of the hashed blocks.
  scheduler::NewRequest scheduler_request(int32_t block_size) const;
  /// Sets which tokens the next entry() may sample, in `words` words.
  /// False: its rules leave none.
  bool fill_bitmask(const scheduler::ScheduledRequest& scheduled, int64_t words);
  /// Time that the engine's thread spent on its rules.
  void add_rule_time(int64_t ns) { rules_ns_ += ns; }
  /// Everybody waits for the engine's thread, so one choice may not have it for long.
  bool rules_are_too_slow() const;
  /// Its share of a step; valid until the next add() or fill_bitmask().
  backend::Entry entry(const scheduler::ScheduledRequest& scheduled) const;
  const sampling::Params& params() const { return params_; }
  std::span<const int32_t> prompt_tokens() const {
    return std::span(tokens_).first(num_prompt_tokens_);
  }
  /// Keeps the prompt's log-probabilities of entry `entry` of a step, from `first_position` on.
  void keep_prompt_logprobs(int32_t first_position, const backend::Outputs& outputs, size_t entry);
  /// Appends a sampled token to tokens and text; finds stop strings.
  scheduler::SampledToken add(int32_t token);
  /// What add() took, for the record.
  void add_detokenize_time(int64_t ns) { detokenize_ns_ += ns; }
  int64_t detokenize_ns() const { return detokenize_ns_; }
  /// What is new since the last one. `end`: the choice ended with this token.
  Output output(int32_t num_cached_tokens, std::vector<sampling::TokenLogprob>&& logprobs,
                const scheduler::FinishedRequest* end);
  /// Its last one when it is cut off.
  Output aborted_output();
  /// The beginning of its text, where content is captured.
  const std::string& captured() const { return captured_; }
  /// The stop string that ended it; empty: none did.
  const std::string& stop_string() const { return stop_string_; }

 private:
  const Submission& submission() const { return answer_->submission; }
  const Prompt& prompt() const { return submission().prompts[prompt_index_]; }
  std::span<const int32_t> known_tokens() const {
    return std::span(tokens_).first(tokens_.size() - 1);
  }
  bool ends_by_token(int32_t token) const;
  /// Keeps what fits of a text that goes out, where content is captured.
  void capture(std::string_view delta);

  const std::shared_ptr<Answer> answer_;  // shared with the engine; gone when the last choice is
  const size_t prompt_index_;
  const int32_t choice_;
  const scheduler::RequestId id_;
  const size_t num_prompt_tokens_;
  // Prompt, then output; at the end backend::kTokenInFlight, for a step that goes on from the token
  // that the step before has not yielded yet.
  std::vector<int32_t> tokens_;
  sampling::Params params_;
  std::unique_ptr<TokenConstraint> constraint_;  // null: none, or it was left
  std::vector<int32_t> bitmask_;                 // of the next token; empty: all are allowed
  TokenLogprobs prompt_logprobs_;                // by position
  tokenizer::Detokenizer detokenizer_;
  std::string stop_string_;
  bool begun_ = false;
  bool text_ended_ = false;  // the detokenizer takes nothing more
  int64_t detokenize_ns_ = 0;
  int64_t rules_ns_ = 0;
  std::string captured_;
  bool captured_all_ = true;
};

}  // namespace touchstone::engine
