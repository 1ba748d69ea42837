#include "reference_engine/engine/sequence.h"

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "base/utf8.h"
#include "reference_engine/scheduler/block_hash.h"

namespace touchstone::engine {
namespace {

bool contains(const std::vector<int32_t>& ids, int32_t id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

/// Unsigned: the sum may wrap.
uint64_t seed_of_choice(int64_t seed, int32_t i) {
  return static_cast<uint64_t>(seed) + static_cast<uint64_t>(i);
}

tokenizer::DetokenizerOptions text_options(const tokenizer::Tokenizer& tokenizer,
                                           const Submission& submission, const Prompt& prompt) {
  const bool skips_special = submission.skip_special_tokens;
  return {.stop = submission.stop,
          .include_stop_in_output = submission.include_stop_in_output,
          .skip_special_tokens = skips_special,
          .min_tokens = submission.sampling.min_tokens,
          .after_text = tokenizer::shows_text(tokenizer, *prompt.token_ids, skips_special)};
}

}  // namespace

Output Answer::new_output(int32_t choice) {
  Output output;
  output.prompt_index = static_cast<size_t>(choice / submission.n);
  output.choice = choice;
  if (!prompt_done[output.prompt_index]) {
    prompt_done[output.prompt_index] = true;
    output.prompt.emplace();
  }
  return output;
}

records::RequestRecord Answer::record(int32_t choice, scheduler::RequestId id) const {
  const Prompt& prompt = submission.prompts[static_cast<size_t>(choice / submission.n)];
  const sampling::Params& params = submission.sampling;
  records::RequestRecord record = submission.record;
  record.id = id;
  record.request_id = prompt.request_id;
  record.prompt_characters = prompt.characters;
  record.prompt_tokens = std::ssize(*prompt.token_ids);
  record.max_tokens = prompt.max_tokens;
  record.min_tokens = params.min_tokens;
  record.temperature = params.temperature;
  record.top_p = params.top_p;
  record.top_k = params.top_k;
  record.min_p = params.min_p;
  record.presence_penalty = params.presence_penalty;
  record.frequency_penalty = params.frequency_penalty;
  record.repetition_penalty = params.repetition_penalty;
  if (submission.seed) {
    record.seed = static_cast<int64_t>(seed_of_choice(*submission.seed, choice % submission.n));
  }
  record.stop_strings = std::ssize(submission.stop);
  record.stop_token_ids.assign(submission.stop_token_ids.begin(), submission.stop_token_ids.end());
  record.n = submission.n;
  record.choice = choice;
  record.choices = num_choices();
  record.ignore_eos = submission.ignore_eos;
  record.priority = submission.priority;
  record.skip_reading_prefix_cache = params.prompt_logprobs.has_value();
  return record;
}

Sequence::Sequence(std::shared_ptr<Answer> answer, int32_t choice, scheduler::RequestId id,
                   uint64_t seed, const tokenizer::Tokenizer& tokenizer)
    : answer_(std::move(answer)),
      prompt_index_(static_cast<size_t>(choice / submission().n)),
      choice_(choice),
      id_(id),
      num_prompt_tokens_(prompt().token_ids->size()),
      params_(submission().sampling),
      detokenizer_(tokenizer, text_options(tokenizer, submission(), prompt())) {
  tokens_.reserve(num_prompt_tokens_ + static_cast<size_t>(prompt().max_tokens) + 1);
  tokens_ = *prompt().token_ids;
  tokens_.push_back(backend::kTokenInFlight);
  params_.seed =
      submission().seed ? seed_of_choice(*submission().seed, choice % submission().n) : seed;
  if (params_.prompt_logprobs) prompt_logprobs_.resize(num_prompt_tokens_);
  if (submission().constraint != nullptr) constraint_ = submission().constraint->make();
}

scheduler::NewRequest Sequence::scheduler_request(int32_t block_size) const {
  const auto hashed = prompt().block_hashes.size() * static_cast<size_t>(block_size);
  const auto tail = known_tokens().subspan(hashed);
  return {.id = id_,
          .arrival_ns = submission().record.arrival_ns,
          .priority = submission().priority,
          .num_prompt_tokens = static_cast<int32_t>(num_prompt_tokens_),
          .max_tokens = prompt().max_tokens,
          .min_tokens = params_.min_tokens,
          .adapter = submission().adapter != nullptr ? submission().adapter->id : 0,
          .ignore_eos = submission().ignore_eos,
          .eos_token_ids = submission().eos_token_ids,
          .stop_token_ids = submission().stop_token_ids,
          .block_hashes = prompt().block_hashes,
          .unhashed_tail = {tail.begin(), tail.end()},
          .chain_root = scheduler::root_hash(submission().chain_keys()),
          .skip_reading_prefix_cache = params_.prompt_logprobs.has_value()};
}

bool Sequence::rules_are_too_slow() const {
  constexpr int64_t kOfAnyLength = 2 * kNsPerSecond;
  constexpr int64_t kPerToken = 5 * kNsPerMs;
  return rules_ns_ > kOfAnyLength + kPerToken * static_cast<int64_t>(num_output_tokens());
}

bool Sequence::fill_bitmask(const scheduler::ScheduledRequest& scheduled, int64_t words) {
  const std::vector<int32_t>& allowed = submission().allowed_token_ids;
  if (!scheduled.samples_token || (constraint_ == nullptr && allowed.empty())) return true;
  if (constraint_ == nullptr && !bitmask_.empty()) return true;  // the same for every token
  std::vector<int32_t> listed;
  if (!allowed.empty()) {
    listed.resize(static_cast<size_t>(words));
    for (const int32_t token : allowed) {
      listed[static_cast<size_t>(token / 32)] |= static_cast<int32_t>(1U << (token % 32));
    }
  }
  bitmask_.resize(static_cast<size_t>(words));
  if (constraint_ == nullptr) {
    bitmask_ = std::move(listed);
    return true;
  }
  constraint_->fill(bitmask_);
  for (size_t i = 0; i < listed.size(); ++i) bitmask_[i] &= listed[i];
  const bool any = std::ranges::any_of(bitmask_, [](int32_t word) { return word != 0; });
  if (!any) bitmask_.clear();
  return any;
}

backend::Entry Sequence::entry(const scheduler::ScheduledRequest& scheduled) const {
  const std::span<const int32_t> tokens = tokens_;
  backend::Entry entry{
      .request_id = id_,
      .tokens = tokens.subspan(static_cast<size_t>(scheduled.num_computed_tokens),
                               static_cast<size_t>(scheduled.num_scheduled_tokens)),
      .first_position = scheduled.num_computed_tokens,
      .block_table = scheduled.block_table,
      .sample = scheduled.samples_token,
      .logprobs = params_.logprobs};
  if (scheduled.samples_token) entry.token_bitmask = bitmask_;
  if (params_.prompt_logprobs) {
    const auto left = static_cast<int32_t>(num_prompt_tokens_) - 1 - scheduled.num_computed_tokens;
    entry.num_prompt_rows = std::clamp(left, 0, scheduled.num_scheduled_tokens);
    entry.prompt_logprobs = *params_.prompt_logprobs;
  }
  return entry;
}

void Sequence::keep_prompt_logprobs(int32_t first_position, const backend::Outputs& outputs,
                                    size_t entry) {
  for (int64_t k = 0; k < outputs.num_prompt_rows(entry); ++k) {
    prompt_logprobs_[static_cast<size_t>(first_position + k + 1)] =
        outputs.prompt_logprobs(entry, k);
  }
}

bool Sequence::ends_by_token(int32_t token) const {
  if (num_output_tokens() < static_cast<size_t>(params_.min_tokens)) return false;
  return (!submission().ignore_eos && contains(submission().eos_token_ids, token)) ||
         contains(submission().stop_token_ids, token);
}

scheduler::SampledToken Sequence::add(int32_t token) {
  tokens_.back() = token;
  tokens_.push_back(backend::kTokenInFlight);
  scheduler::SampledToken sampled{.id = id_, .token = token};
  // What comes against the rules, as before min_tokens, ends them: there is no way back.
  if (constraint_ != nullptr && !constraint_->accept(token)) {
    constraint_.reset();
    bitmask_.clear();
  }
  const bool ends = ends_by_token(token);
  // The token that ends a completion is not part of its text.
  if (ends && !submission().include_stop_in_output) return sampled;
  if (std::optional<std::string> stop = detokenizer_.add(token)) {
    text_ended_ = true;
    if (!ends) {
      stop_string_ = std::move(*stop);
      sampled.stop_string = true;
    }
  }
  return sampled;
}

Output Sequence::output(int32_t num_cached_tokens, std::vector<sampling::TokenLogprob>&& logprobs,
                        const scheduler::FinishedRequest* end) {
  Output output = answer_->new_output(choice_);
  if (output.prompt) *output.prompt = {num_cached_tokens, prompt_logprobs_};
  output.token_ids = {known_tokens().back()};
  if (!logprobs.empty()) output.logprobs.push_back(std::move(logprobs));
  if (end != nullptr) {
    output.finish_reason = end->reason;
    if (!stop_string_.empty()) {
      output.stop_reason = stop_string_;
    } else if (end->stop_token) {
      output.stop_reason = *end->stop_token;
    }
    if (!text_ended_) detokenizer_.finish();
  }
  output.text = detokenizer_.take_delta();
  capture(output.text);
  return output;
}

void Sequence::capture(std::string_view delta) {
  const auto& content = submission().record.content;
  if (!content || !captured_all_) return;
  const auto fits = utf8_prefix(delta, static_cast<size_t>(content->bytes_max) - captured_.size());
  captured_ += fits;
  captured_all_ = fits.size() == delta.size();
}

Output Sequence::aborted_output() {
  Output output = answer_->new_output(choice_);
  output.finish_reason = scheduler::FinishReason::kAbort;
  detokenizer_.finish();
  output.text = detokenizer_.take_delta();
  capture(output.text);
  return output;
}

}  // namespace touchstone::engine
