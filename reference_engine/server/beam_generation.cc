#include "reference_engine/server/beam_generation.h"

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "reference_engine/scheduler/block_hash.h"
#include "reference_engine/server/api/response.h"
#include "reference_engine/server/api/response_extent.h"
#include "reference_engine/server/beam_search.h"
#include "reference_engine/server/error_response.h"
#include "reference_engine/server/inbox.h"
#include "reference_engine/server/submission_of.h"

namespace touchstone::server {
namespace {

using Admission = engine::Engine::Admission;

struct BeamAnswer {
  size_t prompt = 0;
  size_t beam = 0;
  engine::Output output;
};
using BeamInbox = Inbox<BeamAnswer>;  // of the beams of all prompts

/// Where one beam's one token goes.
class BeamSink final : public engine::OutputSink {
 public:
  BeamSink(std::shared_ptr<BeamInbox> inbox, size_t prompt, size_t beam)
      : inbox_(std::move(inbox)), prompt_(prompt), beam_(beam) {}
  void deliver(std::vector<engine::Output> outputs) override {
    for (engine::Output& output : outputs) {
      if (!output.finish_reason) continue;
      inbox_->update([&](auto& answers) {
        answers.push_back({prompt_, beam_, std::move(output)});
      });
    }
  }
  void fail(const std::string& message) override { inbox_->fail(message); }

 private:
  const std::shared_ptr<BeamInbox> inbox_;  // shared with the reply: either may let go first
  const size_t prompt_;
  const size_t beam_;
};

/// One prompt's search, and what is missing of its step.
struct PromptBeams {
  BeamSearch search;
  std::vector<BeamSearch::Row> rows = {};  // of this step, by beam
  size_t missing = 0;
  int32_t steps = 0;
  bool aborted = false;
  std::vector<uint64_t> tickets = {};  // of this step

  bool over() const { return aborted || search.done(); }
};

BeamSearch::Options search_options(const api::GenerationRequest& request, size_t prompt) {
  BeamSearch::Options options{.width = request.n,
                              .max_tokens = request.prompts[prompt].max_tokens,
                              .length_penalty = request.beams->length_penalty,
                              .eos_token_id = {},
                              .keep_eos = request.include_stop_str_in_output,
                              .keep_logprobs = request.logprobs.has_value()};
  if (!request.eos_token_ids.empty()) options.eos_token_id = request.eos_token_ids.front();
  return options;
}

class BeamGeneration final : public http::PendingReply {
 public:
  BeamGeneration(GenerationStart start, engine::Engine& engine, const api::ApiContext& context,
                 int32_t block_size)
      : start_(std::move(start)),
        engine_(engine),
        context_(context),
        block_size_(block_size),
        template_(submission_of(start_, block_size, nullptr)) {
    const auto& prompts = start_.request->prompts;
    for (size_t i = 0; i < prompts.size(); ++i) {
      prompts_.push_back(
          {.search = BeamSearch(search_options(*start_.request, i), prompts[i].token_ids)});
    }
    sampling::Params params;
    params.temperature = template_.sampling.temperature;
    params.logprobs = 2 * start_.request->n;
    template_.sampling = params;
    template_.n = 1;
    template_.stop.clear();
    template_.seed.reset();
    prompt_ids_ = std::exchange(template_.prompts, {});
  }

  ~BeamGeneration() override {
    inbox_->set_wake({});
    if (!finished()) abort();
  }

  Admission submit_all() {
    for (size_t i = 0; i < prompts_.size() && admission_ == Admission::kAccepted; ++i) submit(i);
    return admission_;
  }

  void set_wake(std::function<void()> wake) override { inbox_->set_wake(std::move(wake)); }
  bool streams() const override { return false; }
  bool finished() const override {
    return failure_ || std::ranges::all_of(prompts_, &PromptBeams::over);
  }

  std::string take() override {
    if (finished()) return {};
    BeamInbox::Content content = inbox_->take();
    for (BeamAnswer& answer : content.items) take_in(answer);
    for (size_t i = 0; i < prompts_.size() && !content.failure; ++i) {
      PromptBeams& prompt = prompts_[i];
      if (prompt.over() || prompt.missing > 0) continue;
      prompt.search.advance(prompt.rows);
      if (!prompt.search.done()) submit(i);
    }
    if (content.failure) failure_ = api::internal_error(*content.failure);
    if (admission_ != Admission::kAccepted && !failure_) failure_ = refusal_of(engine_, admission_);
    if (failure_) abort();
    if (finished() && !failure_) collect();
    return {};
  }

  int64_t response_bytes() const override {
    return api::choices_json_bytes(*start_.request, choices_);
  }

  http::HttpResponse response() override {
    if (failure_) return error_response(*failure_, start_.headers);
    http::HttpResponse response{.status = 200,
                                .content_type = std::string(api::kJsonContentType),
                                .headers = start_.headers,
                                .body = {}};
    const std::vector<api::PromptResult> computed(prompts_.size());
    response.body = api::full_response(
        *start_.request, context_,
        {.id = start_.response_id, .created = start_.arrival_unix_ns / kNsPerSecond}, choices_,
        computed);
    choices_ = {};
    return response;
  }

 private:
  void abort() {
    for (const PromptBeams& prompt : prompts_) {
      for (const uint64_t ticket : prompt.tickets) engine_.abort(ticket);
    }
  }

  void take_in(BeamAnswer& answer) {
    PromptBeams& prompt = prompts_[answer.prompt];
    prompt.missing -= 1;
    if (answer.output.logprobs.empty()) {
      prompt.aborted = true;  // with the server's end
    } else {
      prompt.rows[answer.beam] = std::move(answer.output.logprobs.front());
    }
  }

  /// Asks for the next token of each beam of prompt `i`.
  void submit(size_t i) {
    PromptBeams& prompt = prompts_[i];
    prompt.rows.assign(prompt.search.size(), {});
    prompt.missing = prompt.search.size();
    prompt.tickets.clear();
    const std::string step = "-" + std::to_string(prompt.steps++) + "-beam-";
    for (size_t beam = 0; beam < prompt.search.size(); ++beam) {
      auto tokens = std::make_shared<std::vector<int32_t>>(*prompt_ids_[i].token_ids);
      const std::vector<int32_t> said = prompt.search.tokens(beam);
      tokens->insert(tokens->end(), said.begin(), said.end());
      engine::Submission submission = template_;
      submission.prompts = {
          {.token_ids = tokens,
           .max_tokens = 1,
           .block_hashes = scheduler::hash_blocks(submission.chain_keys(), *tokens, block_size_),
           .request_id = prompt_ids_[i].request_id + step + std::to_string(beam),
           .characters = prompt_ids_[i].characters}};
      submission.sink = std::make_shared<BeamSink>(inbox_, i, beam);
      const engine::Engine::Submitted submitted = engine_.submit(std::move(submission));
      admission_ = submitted.admission;
      if (admission_ != Admission::kAccepted) return;
      prompt.tickets.push_back(submitted.ticket);
    }
  }

  /// The answers, when the last token is there.
  void collect() {
    const api::GenerationRequest& request = *start_.request;
    for (size_t i = 0; i < prompts_.size(); ++i) {
      auto index = static_cast<int32_t>(i) * request.n;
      for (BeamSearch::Result& result : prompts_[i].search.best()) {
        api::Choice& choice = choices_.emplace_back();
        choice.index = index++;
        std::vector<int32_t> shown = result.tokens;
        if (result.stopped && request.include_stop_str_in_output) shown.pop_back();
        choice.text = context_.tokenizer->decode(shown, request.skip_special_tokens);
        choice.token_ids = std::move(result.tokens);
        choice.logprobs = std::move(result.logprobs);
        choice.finish_reason = result.stopped ? "stop" : prompts_[i].aborted ? "abort" : "length";
        if (result.stopped) choice.stop_reason = request.eos_token_ids.front();
      }
    }
  }

  const GenerationStart start_;
  engine::Engine& engine_;
  const api::ApiContext& context_;
  const int32_t block_size_;
  engine::Submission template_;  // of every beam, without its prompt
  std::vector<engine::Prompt> prompt_ids_;
  const std::shared_ptr<BeamInbox> inbox_ = std::make_shared<BeamInbox>();
  std::vector<PromptBeams> prompts_;
  Admission admission_ = Admission::kAccepted;
  std::optional<api::ApiError> failure_;
  std::vector<api::Choice> choices_;
};

}  // namespace

StartedBeams start_beams(GenerationStart start, engine::Engine& engine,
                         const api::ApiContext& context, int32_t block_size) {
  auto reply = std::make_unique<BeamGeneration>(std::move(start), engine, context, block_size);
  const Admission admission = reply->submit_all();
  return {admission, std::move(reply)};
}

}  // namespace touchstone::server
