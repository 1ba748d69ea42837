// Responses that are kept: to be retrieved, gone on from, and, in the background, made while nobody
// waits for them. In memory, and bounded: the oldest that have ended are forgotten first (vLLM's
// store forgets none). Thread-safe. Source: vLLM 0.32.0 entrypoints/openai/responses/serving.py.
#pragma once

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "http/http.h"
#include "reference_engine/server/api/context.h"

namespace touchstone::server {

struct ResponseStoreLimits {
  size_t responses_max = 1'000;           ///< that have ended
  int64_t bytes_max = int64_t{64} << 20;  ///< of answers, events and conversations
  size_t running_max = 256;               ///< in the background
};

/// A response that is to be made in the background.
struct BackgroundResponse {
  std::string id;
  std::string queued;        ///< what is answered, and retrieved until it has ended
  std::string conversation;  ///< JSON of its messages
  bool streams = false;
  std::unique_ptr<http::PendingReply> work;
  http::ByteBudget::Lease memory;  ///< what the request holds, until it has ended
  http::HttpHeaders headers;       ///< of the answer
};

class ResponseStore final {
 public:
  explicit ResponseStore(const ResponseStoreLimits& limits);
  ~ResponseStore();
  ResponseStore(const ResponseStore&) = delete;
  ResponseStore& operator=(const ResponseStore&) = delete;

  /// What the next turn of a conversation starts from; nullopt when it is not known.
  std::optional<api::StoredTurn> turn(std::string_view id) const;
  /// Keeps an answer that has ended; a cancelled one stays as it is.
  void keep(const std::string& id, std::string response, std::string conversation);

  bool has_room() const;
  /// Works on it from now on; the answer is that it is queued, or its events as they come.
  http::Reply run(BackgroundResponse response);
  /// What is kept of it, or with ?stream=true its events after number ?starting_after.
  http::Reply retrieve(const http::HttpRequest& request, std::string_view id);
  /// Aborts one in the background.
  http::Reply cancel(std::string_view id);

  /// Drops what is being made and joins the thread. What the work refers to must live until then.
  void stop();

 private:
  class Replay;
  struct Kept {
    std::string response;
    std::string conversation;
    std::vector<std::string> events;
    bool background = false;
    bool streamed = false;
    bool ended = true;
    std::unique_ptr<http::PendingReply> work;  // null also while the thread has it
    http::ByteBudget::Lease memory;
    std::map<uint64_t, std::function<void()>> watchers;
    std::list<std::string>::iterator age;
    int64_t bytes = 0;
  };
  using Table = std::map<std::string, Kept, std::less<>>;

  void work();
  void advance(const std::string& id);
  void wake(const std::string& id);
  Kept& entry_of(const std::string& id) REQUIRES(mutex_);
  void count(Kept& kept) REQUIRES(mutex_);
  void forget_oldest() REQUIRES(mutex_);
  static void tell(const Kept& kept);

  const ResponseStoreLimits limits_;
  mutable Mutex mutex_;
  ConditionVariable changed_;
  Table kept_ GUARDED_BY(mutex_);
  std::list<std::string> ages_ GUARDED_BY(mutex_);  // the oldest first
  int64_t bytes_ GUARDED_BY(mutex_) = 0;
  size_t running_ GUARDED_BY(mutex_) = 0;
  uint64_t next_watcher_ GUARDED_BY(mutex_) = 0;
  std::set<std::string> woken_ GUARDED_BY(mutex_);  // work that may go on
  bool ends_ GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

/// The response within the last of the events of a streamed one.
std::string response_of_events(std::string_view events);

}  // namespace touchstone::server
