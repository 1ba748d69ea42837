#include "reference_engine/server/response_store.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "base/text.h"
#include "reference_engine/server/api/api_error.h"
#include "reference_engine/server/api/response.h"
#include "reference_engine/server/api/responses.h"
#include "reference_engine/server/api/sampling_fields.h"
#include "reference_engine/server/error_response.h"

namespace touchstone::server {
namespace {

using nlohmann::ordered_json;

http::Reply json_reply(int status, std::string body, http::HttpHeaders headers = {}) {
  return {.response = {.status = status,
                       .content_type = std::string(api::kJsonContentType),
                       .headers = std::move(headers),
                       .body = std::move(body)},
          .pending = nullptr,
          .route = {}};
}

http::Reply error_reply(const api::ApiError& error) {
  return {.response = error_response(error), .pending = nullptr, .route = {}};
}

std::string with_status(const std::string& response, const char* status) {
  ordered_json tree = ordered_json::parse(response);
  tree["status"] = status;
  return tree.dump();
}

std::vector<std::string> split_events(std::string_view text) {
  std::vector<std::string> events;
  while (!text.empty()) {
    const size_t end = std::min(text.find("\n\n"), text.size() - 2) + 2;
    events.emplace_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return events;
}

}  // namespace

std::string response_of_events(std::string_view events) {
  const size_t data = events.rfind("\ndata: ");
  if (data == std::string_view::npos) return {};
  const auto tree = ordered_json::parse(events.substr(data + 7), nullptr, false);
  return tree.is_object() && tree.contains("response") ? tree["response"].dump() : std::string();
}

/// The events of a response, from one of them on, as they come.
class ResponseStore::Replay final : public http::PendingReply {
 public:
  Replay(ResponseStore& store, std::string id, size_t next, http::HttpHeaders headers)
      : store_(store), id_(std::move(id)), next_(next), headers_(std::move(headers)) {}
  ~Replay() override { set_wake({}); }

  void set_wake(std::function<void()> wake) override {
    const MutexLock lock(store_.mutex_);
    const auto found = store_.kept_.find(id_);
    if (found == store_.kept_.end()) return;
    if (watcher_ == 0) watcher_ = ++store_.next_watcher_;
    if (wake) {
      found->second.watchers[watcher_] = std::move(wake);
    } else {
      found->second.watchers.erase(watcher_);
    }
  }
  std::string take() override {
    const MutexLock lock(store_.mutex_);
    const auto found = store_.kept_.find(id_);
    std::string text;
    if (found == store_.kept_.end()) {
      finished_ = true;
      return text;
    }
    const Kept& kept = found->second;
    for (; next_ < kept.events.size(); ++next_) text += kept.events[next_];
    finished_ = kept.ended;
    return text;
  }
  bool finished() const override { return finished_; }
  bool streams() const override { return true; }
  int64_t response_bytes() const override { return 0; }
  http::HttpResponse response() override {
    return {.status = 200,
            .content_type = std::string(api::kEventStreamContentType),
            .headers = headers_,
            .body = {}};
  }

 private:
  ResponseStore& store_;
  const std::string id_;
  size_t next_;
  const http::HttpHeaders headers_;
  uint64_t watcher_ = 0;
  bool finished_ = false;
};

ResponseStore::ResponseStore(const ResponseStoreLimits& limits)
    : limits_(limits), thread_([this] { work(); }) {}

ResponseStore::~ResponseStore() { stop(); }

void ResponseStore::stop() {
  Table left;
  {
    const MutexLock lock(mutex_);
    ends_ = true;
    left.swap(kept_);  // their work ends without the lock: it says so to the engine
    ages_.clear();
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

std::optional<api::StoredTurn> ResponseStore::turn(std::string_view id) const {
  const MutexLock lock(mutex_);
  const auto found = kept_.find(id);
  if (found == kept_.end()) return std::nullopt;
  return api::StoredTurn{.messages = found->second.conversation,
                         .response = found->second.response};
}

ResponseStore::Kept& ResponseStore::entry_of(const std::string& id) {
  const auto [place, is_new] = kept_.try_emplace(id);
  if (is_new) place->second.age = ages_.insert(ages_.end(), id);
  return place->second;
}

/// Its bytes have changed.
void ResponseStore::count(Kept& kept) {
  auto bytes = static_cast<int64_t>(kept.response.size() + kept.conversation.size());
  for (const std::string& event : kept.events) bytes += static_cast<int64_t>(event.size());
  bytes_ += bytes - kept.bytes;
  kept.bytes = bytes;
}

void ResponseStore::forget_oldest() {
  for (auto id = ages_.begin(); id != ages_.end();) {
    if (ages_.size() - running_ <= limits_.responses_max && bytes_ <= limits_.bytes_max) return;
    const auto found = kept_.find(*id);
    if (!found->second.ended) {
      ++id;
      continue;
    }
    bytes_ -= found->second.bytes;
    tell(found->second);
    kept_.erase(found);
    id = ages_.erase(id);
  }
}

void ResponseStore::tell(const Kept& kept) {
  for (const auto& [number, wake] : kept.watchers) wake();
}

void ResponseStore::keep(const std::string& id, std::string response, std::string conversation) {
  const MutexLock lock(mutex_);
  if (ends_) return;
  Kept& kept = entry_of(id);
  if (kept.background && kept.ended) return;  // cancelled
  kept.response = std::move(response);
  kept.conversation = std::move(conversation);
  count(kept);
  forget_oldest();
}

bool ResponseStore::has_room() const {
  const MutexLock lock(mutex_);
  return !ends_ && running_ < limits_.running_max;
}

http::Reply ResponseStore::run(BackgroundResponse response) {
  const std::string id = response.id;
  http::PendingReply& work = *response.work;
  std::string answer = response.queued;
  {
    const MutexLock lock(mutex_);
    Kept& kept = entry_of(id);
    kept.response = std::move(response.queued);
    kept.conversation = std::move(response.conversation);
    kept.background = true;
    kept.streamed = response.streams;
    kept.ended = false;
    kept.memory = std::move(response.memory);
    kept.work = std::move(response.work);
    ++running_;
    count(kept);
  }
  work.set_wake([this, id] { wake(id); });
  wake(id);  // what came before
  if (!response.streams) return json_reply(200, std::move(answer), std::move(response.headers));
  return {.response = {},
          .pending = std::make_unique<Replay>(*this, id, 0, std::move(response.headers)),
          .route = {}};
}

void ResponseStore::wake(const std::string& id) {
  const MutexLock lock(mutex_);
  woken_.insert(id);
  changed_.notify_all();
}

void ResponseStore::work() {
  while (true) {
    std::string id;
    {
      const MutexLock lock(mutex_);
      changed_.wait(mutex_, [this]() REQUIRES(mutex_) { return ends_ || !woken_.empty(); });
      if (ends_) return;
      id = std::move(woken_.extract(woken_.begin()).value());
    }
    advance(id);
  }
}

/// Takes in what the work has to say. Its own lock is taken within no lock of ours.
void ResponseStore::advance(const std::string& id) {
  std::unique_ptr<http::PendingReply> work;
  {
    const MutexLock lock(mutex_);
    const auto found = kept_.find(id);
    if (found == kept_.end()) return;
    work = std::move(found->second.work);
  }
  if (!work || !work->is_decided()) {
    const MutexLock lock(mutex_);
    const auto found = kept_.find(id);
    if (work && found != kept_.end() && !found->second.ended) {
      found->second.work = std::move(work);
    }
    return;
  }
  std::string text = work->take();
  const bool finished = work->finished();
  const bool failed = finished && !work->streams() && work->response().status != 200;
  const MutexLock lock(mutex_);
  const auto found = kept_.find(id);
  if (found == kept_.end()) return;
  Kept& kept = found->second;
  if (kept.ended) return;  // cancelled meanwhile
  for (std::string& event : split_events(text)) kept.events.push_back(std::move(event));
  if (finished) {
    if (failed) kept.response = with_status(kept.response, "failed");
    kept.ended = true;
    kept.memory = {};
    --running_;
  } else {
    kept.work = std::move(work);
  }
  count(kept);
  tell(kept);
  forget_oldest();
}

http::Reply ResponseStore::retrieve(const http::HttpRequest& request, std::string_view id) {
  const std::string wanted = to_lower(request.query("stream").value_or(""));
  const bool streams = wanted == "true" || wanted == "1";
  const auto after = parse_int(request.query("starting_after").value_or("-1"));
  const MutexLock lock(mutex_);
  const auto found = kept_.find(id);
  if (found == kept_.end()) return error_reply(api::no_such_response(id));
  if (!streams) return json_reply(200, found->second.response);
  if (!found->second.streamed) {
    return error_reply(
        api::parameter_error("Unknown response_id: " + std::string(id), "response_id"));
  }
  if (!after || *after < -1) {
    return error_reply(
        api::parameter_error("starting_after must be the number of an event", "starting_after"));
  }
  return {.response = {},
          .pending = std::make_unique<Replay>(*this, std::string(id),
                                              static_cast<size_t>(*after + 1), http::HttpHeaders()),
          .route = {}};
}

http::Reply ResponseStore::cancel(std::string_view id) {
  std::unique_ptr<http::PendingReply> work;  // aborted without the lock
  const MutexLock lock(mutex_);
  const auto found = kept_.find(id);
  if (found == kept_.end()) return error_reply(api::no_such_response(id));
  Kept& kept = found->second;
  if (!kept.background || kept.ended) {
    return error_reply(
        {400, "invalid_request_error", "Cannot cancel a synchronous response.", "response_id"});
  }
  work = std::move(kept.work);
  kept.ended = true;
  kept.memory = {};
  --running_;
  kept.response = with_status(kept.response, "cancelled");
  count(kept);
  tell(kept);
  return json_reply(200, kept.response);
}

}  // namespace touchstone::server
