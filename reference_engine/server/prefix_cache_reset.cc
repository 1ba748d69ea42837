#include "reference_engine/server/prefix_cache_reset.h"

#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "base/mutex.h"
#include "base/text.h"
#include "reference_engine/server/api/api_error.h"
#include "reference_engine/server/api/response.h"
#include "reference_engine/server/api/sampling_fields.h"
#include "reference_engine/server/error_response.h"

namespace touchstone::server {
namespace {

/// Where the engine's thread leaves what came of it. Thread-safe.
class ResetOutcome final {
 public:
  void set(Result<bool> outcome) {
    const MutexLock lock(mutex_);
    outcome_ = std::move(outcome);
    if (wake_) wake_();
  }
  void set_wake(std::function<void()> wake) {
    const MutexLock lock(mutex_);
    wake_ = std::move(wake);
  }
  std::optional<Result<bool>> get() {
    const MutexLock lock(mutex_);
    return outcome_;
  }

 private:
  Mutex mutex_;
  std::optional<Result<bool>> outcome_ GUARDED_BY(mutex_);
  std::function<void()> wake_ GUARDED_BY(mutex_);
};

class ResetReply final : public http::PendingReply {
 public:
  ResetReply(std::shared_ptr<ResetOutcome> outcome, http::HttpHeaders headers)
      : outcome_(std::move(outcome)), headers_(std::move(headers)) {}
  ~ResetReply() override { outcome_->set_wake({}); }

  void set_wake(std::function<void()> wake) override { outcome_->set_wake(std::move(wake)); }
  std::string take() override { return {}; }
  bool finished() const override { return outcome_->get().has_value(); }
  bool streams() const override { return false; }
  int64_t response_bytes() const override { return 0; }
  http::HttpResponse response() override {
    const Result<bool> outcome = *outcome_->get();
    if (!outcome) return error_response(api::overloaded(outcome.error().message), headers_);
    return {.status = 200,
            .content_type = std::string(api::kJsonContentType),
            .headers = headers_,
            .body = *outcome ? R"({"success":true})" : R"({"success":false})"};
  }

 private:
  const std::shared_ptr<ResetOutcome> outcome_;  // shared with the engine, which may be later
  const http::HttpHeaders headers_;
};

/// As pydantic reads one; nullopt: it is none.
std::optional<bool> truth_of(const std::string& text) {
  const std::string word = to_lower(text);
  for (const char* yes : {"true", "1", "yes", "on", "t", "y"}) {
    if (word == yes) return true;
  }
  for (const char* no : {"false", "0", "no", "off", "f", "n"}) {
    if (word == no) return false;
  }
  return std::nullopt;
}

}  // namespace

http::Reply reset_prefix_cache(const http::HttpRequest& request, http::HttpHeaders headers,
                               engine::Engine& engine) {
  bool preempts = false;
  for (const char* name : {"reset_running_requests", "reset_external"}) {
    const auto given = request.query(name);
    const auto value = given ? truth_of(*given) : false;
    if (!value) {
      const api::ApiError error = api::bad_request(std::string(name) + ": got " + quote(*given) +
                                                   ", expected true or false");
      return {.response = error_response(error), .pending = nullptr, .route = {}};
    }
    if (name == std::string_view("reset_running_requests")) preempts = *value;
  }
  auto outcome = std::make_shared<ResetOutcome>();
  using enum scheduler::Scheduler::Running;
  engine.reset_prefix_cache(preempts ? kPreempt : kKeep,
                            [outcome](Result<bool> done) { outcome->set(std::move(done)); });
  return {.response = {},
          .pending = std::make_unique<ResetReply>(std::move(outcome), std::move(headers)),
          .route = {}};
}

}  // namespace touchstone::server
