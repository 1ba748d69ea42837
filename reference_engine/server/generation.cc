#include "reference_engine/server/generation.h"

#include <algorithm>
#include <mutex>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "reference_engine/scheduler/block_hash.h"
#include "reference_engine/server/api/response.h"

namespace touchstone::server {
namespace {

/// Outputs on their way from the engine to a connection. Beyond kMaxQueued, for a client that reads
/// too slowly, a choice's outputs are merged into its last one, so that memory is bounded by the
/// answer's own size. Thread-safe.
class Mailbox final : public engine::OutputSink {
 public:
  struct Content {
    std::vector<engine::EngineOutput> outputs;
    std::optional<std::string> failure;
  };

  void deliver(std::vector<engine::EngineOutput> outputs) override {
    const std::lock_guard lock(mutex_);
    for (engine::EngineOutput& output : outputs) {
      if (content_.outputs.size() < kMaxQueued || !merge(output)) {
        content_.outputs.push_back(std::move(output));
      }
    }
    if (wake_) wake_();
  }

  void fail(const std::string& message) override {
    const std::lock_guard lock(mutex_);
    content_.failure = message;
    if (wake_) wake_();
  }

  void set_wake(std::function<void()> wake) {
    const std::lock_guard lock(mutex_);
    wake_ = std::move(wake);
  }

  Content take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(content_, {});
  }

 private:
  static constexpr size_t kMaxQueued = 64;

  bool merge(engine::EngineOutput& output) {
    if (output.prompt_done) return false;
    const auto last = std::find_if(content_.outputs.rbegin(), content_.outputs.rend(),
                                   [&](const engine::EngineOutput& queued) {
                                     return queued.delta.index == output.delta.index;
                                   });
    if (last == content_.outputs.rend()) return false;
    api::Choice& into = last->delta;
    into.text += output.delta.text;
    into.token_ids.insert(into.token_ids.end(), output.delta.token_ids.begin(),
                          output.delta.token_ids.end());
    std::move(output.delta.logprobs.begin(), output.delta.logprobs.end(),
              std::back_inserter(into.logprobs));
    into.finish_reason = std::move(output.delta.finish_reason);
    into.stop_reason = std::move(output.delta.stop_reason);
    return true;
  }

  std::mutex mutex_;
  Content content_;
  std::function<void()> wake_;
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
    engine::Submission submission{.request = start_.request,
                                  .response_id = start_.response_id,
                                  .trace = start_.trace,
                                  .arrival_unix_ns = start_.arrival_unix_ns,
                                  .arrival_ns = start_.arrival_ns,
                                  .prompt_hashes = {},
                                  .sink = mailbox_};
    for (const api::Prompt& prompt : start_.request->prompts) {
      submission.prompt_hashes.push_back(
          scheduler::hash_blocks(start_.request->cache_salt, prompt.token_ids, block_size));
    }
    const engine::Engine::Submitted submitted = engine_.submit(std::move(submission));
    ticket_ = submitted.ticket;
    if (submitted.admission != engine::Engine::Admission::kAccepted) unfinished_ = 0;
    return submitted.admission;
  }

  void set_wake(std::function<void()> wake) override { mailbox_->set_wake(std::move(wake)); }
  bool finished() const override { return unfinished_ == 0 || failure_.has_value(); }

 protected:
  Mailbox::Content take_content() {
    Mailbox::Content content = mailbox_->take();
    for (const engine::EngineOutput& output : content.outputs) {
      if (output.delta.finish_reason) unfinished_ -= 1;
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
    for (engine::EngineOutput& output : take_content().outputs) {
      if (output.prompt_done) prompts_[output.prompt_index] = std::move(*output.prompt_done);
      api::Choice& choice = choices_[static_cast<size_t>(output.delta.index)];
      choice.text += output.delta.text;
      choice.token_ids.insert(choice.token_ids.end(), output.delta.token_ids.begin(),
                              output.delta.token_ids.end());
      std::move(output.delta.logprobs.begin(), output.delta.logprobs.end(),
                std::back_inserter(choice.logprobs));
      choice.finish_reason = std::move(output.delta.finish_reason);
      choice.stop_reason = std::move(output.delta.stop_reason);
    }
    return {};
  }

  http::HttpResponse response() override {
    http::HttpResponse response{.status = 200,
                                .content_type = std::string(api::kJsonContentType),
                                .headers = start_.headers,
                                .body = {}};
    if (failure_) {
      const api::ApiError error = api::internal_error(*failure_);
      response.status = error.status;
      response.body = api::error_body(error);
    } else {
      response.body = api::full_response(*start_.request, context_, head_, choices_, prompts_);
    }
    return response;
  }

 private:
  std::vector<api::Choice> choices_;
  std::vector<api::PromptResult> prompts_;
};

class StreamedGeneration final : public Generation {
 public:
  StreamedGeneration(GenerationStart start, engine::Engine& engine, const api::ApiContext& context)
      : Generation(std::move(start), engine, context), events_(*start_.request, context, head_) {}

  bool streams() const override { return true; }

  std::string take() override {
    std::string text;
    if (ended_) return text;
    for (const engine::EngineOutput& output : take_content().outputs) {
      if (output.prompt_done) {
        text += events_.prompt_done(output.prompt_index, *output.prompt_done);
      }
      text += events_.delta(output.delta);
    }
    if (finished()) {
      text += failure_ ? events_.fail(api::internal_error(*failure_)) : events_.finish();
      ended_ = true;
    }
    return text;
  }

  http::HttpResponse response() override {
    return {.status = 200,
            .content_type = std::string(api::kEventStreamContentType),
            .headers = start_.headers,
            .body = {}};
  }

 private:
  api::EventStream events_;
  bool ended_ = false;
};

}  // namespace

http::Reply start_generation(GenerationStart start, engine::Engine& engine,
                             const api::ApiContext& context, int32_t block_size) {
  const std::function<void()> on_overload = std::move(start.on_overload);
  std::unique_ptr<Generation> generation;
  if (start.request->stream) {
    generation = std::make_unique<StreamedGeneration>(std::move(start), engine, context);
  } else {
    generation = std::make_unique<FullGeneration>(std::move(start), engine, context);
  }
  const engine::Engine::Admission admission = generation->submit(block_size);
  if (admission == engine::Engine::Admission::kAccepted) {
    return {.response = {}, .pending = std::move(generation), .route = {}};
  }
  if (admission == engine::Engine::Admission::kOverloaded && on_overload) on_overload();
  const api::ApiError error =
      engine.failed() ? api::internal_error(engine.failure())
      : admission == engine::Engine::Admission::kOverloaded
          ? api::overloaded("The server has too many requests waiting; try again later.")
          : api::overloaded("The server is shutting down.");
  return {.response = {.status = error.status,
                       .content_type = std::string(api::kJsonContentType),
                       .headers = {},
                       .body = api::error_body(error)},
          .pending = nullptr,
          .route = {}};
}

}  // namespace touchstone::server
