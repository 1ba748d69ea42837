#include "reference_engine/server/generation.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "reference_engine/server/api/response.h"
#include "reference_engine/server/api/response_extent.h"
#include "reference_engine/server/api/responses.h"
#include "reference_engine/server/api/sampling_fields.h"
#include "reference_engine/server/beam_generation.h"
#include "reference_engine/server/error_response.h"
#include "reference_engine/server/inbox.h"
#include "reference_engine/server/response_store.h"
#include "reference_engine/server/submission_of.h"

namespace touchstone::server {
namespace {

template <typename T>
void append(std::vector<T>& to, std::vector<T>& from) {
  to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

/// What an output adds to a choice of the API.
void add(engine::Output& output, api::Choice& choice) {
  choice.index = output.choice;
  choice.text += output.text;
  append(choice.token_ids, output.token_ids);
  append(choice.logprobs, output.logprobs);
  if (output.finish_reason) choice.finish_reason = scheduler::to_string(*output.finish_reason);
  choice.stop_reason = std::move(output.stop_reason);
}

api::PromptResult prompt_result(engine::PromptOutput&& prompt) {
  return {.num_cached_tokens = prompt.num_cached_tokens, .logprobs = std::move(prompt.logprobs)};
}

/// Outputs on their way from the engine to a connection. Beyond kMaxQueued, for a client that reads
/// too slowly, a choice's outputs are merged into its last one, so that memory is bounded by the
/// answer's own size. Thread-safe.
class Mailbox final : public engine::OutputSink {
 public:
  using Content = Inbox<engine::Output>::Content;

  void deliver(std::vector<engine::Output> outputs) override {
    inbox_.update([&](std::vector<engine::Output>& queued) {
      for (engine::Output& output : outputs) {
        if (queued.size() < kMaxQueued || !merge(output, queued)) {
          queued.push_back(std::move(output));
        }
      }
    });
  }
  void fail(const std::string& message) override { inbox_.fail(message); }
  void set_wake(std::function<void()> wake) { inbox_.set_wake(std::move(wake)); }
  Content take() { return inbox_.take(); }
  bool empty() const { return inbox_.empty(); }

 private:
  static constexpr size_t kMaxQueued = 64;

  static bool merge(engine::Output& output, std::vector<engine::Output>& queued) {
    if (output.prompt) return false;
    const auto last = std::find_if(queued.rbegin(), queued.rend(), [&](const engine::Output& each) {
      return each.choice == output.choice;
    });
    if (last == queued.rend()) return false;
    last->text += output.text;
    append(last->token_ids, output.token_ids);
    append(last->logprobs, output.logprobs);
    last->finish_reason = output.finish_reason;
    last->stop_reason = std::move(output.stop_reason);
    return true;
  }

  Inbox<engine::Output> inbox_;
};

/// What both kinds of answer share: the mailbox, the count of unfinished choices, and the abort
/// when the connection lets go too early.
class Generation : public http::PendingReply {
 public:
  Generation(GenerationStart start, engine::Engine& engine, const api::ApiContext& context)
      : start_(std::move(start)),
        context_(context),
        head_{.id = start_.response_id, .created = start_.arrival_unix_ns / kNsPerSecond},
        engine_(engine),
        unfinished_(start_.request->prompts.size() * static_cast<size_t>(start_.request->n)) {}

  ~Generation() override {
    mailbox_->set_wake({});
    if (!finished()) engine_.abort(ticket_);
  }

  engine::Engine::Admission submit(int32_t block_size) {
    const engine::Engine::Submitted submitted =
        engine_.submit(submission_of(start_, block_size, mailbox_));
    ticket_ = submitted.ticket;
    if (submitted.admission != engine::Engine::Admission::kAccepted) unfinished_ = 0;
    return submitted.admission;
  }

  void set_wake(std::function<void()> wake) override { mailbox_->set_wake(std::move(wake)); }
  bool finished() const override { return unfinished_ == 0 || failure_.has_value(); }
  /// Whether its grammar can be compiled is known, and the engine has heard of it.
  bool is_decided() const override {
    return start_.constraint == nullptr || start_.constraint->state() == State::kReady ||
           finished() || !mailbox_->empty();
  }

 protected:
  using State = engine::ConstraintSource::State;

  /// Its grammar could not be compiled: nothing of the answer has been said.
  bool is_refused() const {
    return start_.constraint != nullptr && start_.constraint->state() == State::kFailed;
  }
  /// REQUIRES: failure_.
  http::HttpResponse failure_response() const {
    const api::ApiError error =
        is_refused() ? api::bad_request(*failure_) : api::internal_error(*failure_);
    return error_response(error, start_.headers);
  }
  Mailbox::Content take_content() {
    Mailbox::Content content = mailbox_->take();
    for (const engine::Output& output : content.items) {
      if (output.finish_reason) unfinished_ -= 1;
    }
    if (content.failure) failure_ = content.failure;
    return content;
  }

  const GenerationStart start_;
  const api::ApiContext& context_;
  const api::ResponseHead head_;
  std::optional<std::string> failure_;

 private:
  engine::Engine& engine_;
  // Shared with the engine: either may let go first.
  const std::shared_ptr<Mailbox> mailbox_ = std::make_shared<Mailbox>();
  uint64_t ticket_ = 0;
  size_t unfinished_;
};

class FullGeneration final : public Generation {
 public:
  FullGeneration(GenerationStart start, engine::Engine& engine, const api::ApiContext& context)
      : Generation(std::move(start), engine, context),
        choices_(start_.request->prompts.size() * static_cast<size_t>(start_.request->n)),
        prompts_(start_.request->prompts.size()) {
    for (size_t i = 0; i < choices_.size(); ++i) choices_[i].index = static_cast<int32_t>(i);
  }

  bool streams() const override { return false; }

  std::string take() override {
    for (engine::Output& output : take_content().items) {
      if (output.prompt) {
        prompts_[output.prompt_index] = prompt_result(std::move(*output.prompt));
      }
      add(output, choices_[static_cast<size_t>(output.choice)]);
    }
    return {};
  }

  int64_t response_bytes() const override {
    return api::choices_json_bytes(*start_.request, choices_);
  }

  http::HttpResponse response() override {
    if (failure_) return failure_response();
    http::HttpResponse response{.status = 200,
                                .content_type = std::string(api::kJsonContentType),
                                .headers = start_.headers,
                                .body = {}};
    if (start_.request->responses != nullptr) {
      response.body = api::responses_answer(*start_.request, head_, choices_[0], prompts_[0]);
      if (start_.keep) start_.keep(response.body);
    } else {
      response.body = api::full_response(*start_.request, context_, head_, choices_, prompts_);
      if (start_.extend) response.body = extended(std::move(response.body));
    }
    choices_ = {};  // the text alone waits for its reader
    prompts_ = {};
    return response;
  }

 private:
  /// Of all prompts and choices together.
  std::string extended(std::string body) const {
    telemetry::Usage usage;
    for (size_t i = 0; i < prompts_.size(); ++i) {
      usage.prompt_tokens += std::ssize(start_.request->prompts[i].token_ids);
      usage.cached_tokens += prompts_[i].num_cached_tokens;
    }
    for (const api::Choice& choice : choices_)
      usage.completion_tokens += std::ssize(choice.token_ids);
    return api::with_usage_extension(std::move(body), choices_.front().text, usage.prompt_tokens,
                                     usage.completion_tokens, start_.extend(usage));
  }

  std::vector<api::Choice> choices_;
  std::vector<api::PromptResult> prompts_;
};

std::unique_ptr<api::AnswerStream> make_stream(const api::GenerationRequest& request,
                                               const api::ApiContext& context,
                                               const api::ResponseHead& head) {
  if (request.responses != nullptr) return std::make_unique<api::ResponsesStream>(request, head);
  return std::make_unique<api::EventStream>(request, context, head);
}

class StreamedGeneration final : public Generation {
 public:
  StreamedGeneration(GenerationStart start, engine::Engine& engine, const api::ApiContext& context)
      : Generation(std::move(start), engine, context),
        interval_(std::max(start_.request->stream_interval, context.stream_interval)),
        events_(make_stream(*start_.request, context, head_)) {}

  bool streams() const override { return !is_refused(); }
  int64_t response_bytes() const override { return 0; }

  std::string take() override {
    std::string text;
    if (ended_) return text;
    for (engine::Output& output : take_content().items) {
      if (output.prompt) {
        text += events_->prompt_done(output.prompt_index, prompt_result(std::move(*output.prompt)));
      }
      Held& held = held_[output.choice];
      add(output, held.delta);
      const auto tokens = static_cast<int32_t>(held.delta.token_ids.size());
      if (held.told && !held.delta.finish_reason && tokens < interval_) continue;
      held.told = true;
      text += events_->delta(std::exchange(held.delta, {}));
    }
    if (finished()) {
      const std::string last =
          failure_ ? events_->fail(api::internal_error(*failure_)) : events_->finish();
      if (start_.keep && !failure_) start_.keep(response_of_events(last));
      text += last;
      ended_ = true;
    }
    return text;
  }

  http::HttpResponse response() override {
    if (is_refused()) return failure_response();
    return {.status = 200,
            .content_type = std::string(api::kEventStreamContentType),
            .headers = start_.headers,
            .body = {}};
  }

 private:
  /// What a choice has said since its last event.
  struct Held {
    api::Choice delta;
    bool told = false;
  };

  const int32_t interval_;  // tokens of an event
  std::unique_ptr<api::AnswerStream> events_;
  std::map<int32_t, Held> held_;  // by choice
  bool ended_ = false;
};

std::unique_ptr<Generation> make_generation(GenerationStart start, engine::Engine& engine,
                                            const api::ApiContext& context) {
  if (start.request->stream) {
    return std::make_unique<StreamedGeneration>(std::move(start), engine, context);
  }
  return std::make_unique<FullGeneration>(std::move(start), engine, context);
}

}  // namespace

http::Reply start_generation(GenerationStart start, engine::Engine& engine,
                             const api::ApiContext& context, int32_t block_size) {
  const auto on_refusal = std::move(start.on_refusal);
  std::unique_ptr<http::PendingReply> reply;
  auto admission = engine::Engine::Admission::kAccepted;
  if (start.request->beams) {
    StartedBeams beams = start_beams(std::move(start), engine, context, block_size);
    admission = beams.admission;
    reply = std::move(beams.reply);
  } else {
    std::unique_ptr<Generation> generation = make_generation(std::move(start), engine, context);
    admission = generation->submit(block_size);
    reply = std::move(generation);
  }
  if (admission == engine::Engine::Admission::kAccepted) {
    return {.response = {}, .pending = std::move(reply), .route = {}};
  }
  const api::ApiError error = refusal_of(engine, admission);
  if (on_refusal) on_refusal(error, admission);
  return {.response = error_response(error), .pending = nullptr, .route = {}};
}

}  // namespace touchstone::server
