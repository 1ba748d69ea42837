// The choices of one HTTP request, put together as their records come: for spans and metrics that
// stand for the request and not for a completion. Thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "records/request_record.h"

namespace touchstone::telemetry {

/// What is known of a request when the last of its choices has ended.
struct RequestGroup {
  /// Of the choice that failed first, else of choice 0: who asked, for what, and how it ended.
  /// Its times span all choices: the first to be scheduled, the first token, the last end.
  records::RequestRecord record;
  std::string response_id;    ///< "cmpl-abc", "chatcmpl-abc"
  int64_t prompt_tokens = 0;  ///< each prompt counted once
  int64_t cached_tokens = 0;  ///< of them
  int64_t completion_tokens = 0;
  std::vector<records::Outcome> outcomes;  ///< by choice; one for a refused request
  std::vector<std::string> outputs;        ///< by choice; what was captured of what it said
};

/// The record's request id without what tells its prompts apart.
std::string response_id_of(const records::RequestRecord& record);

class RequestGroups final {
 public:
  /// The whole request with its last choice, nothing before. A request that never reached the
  /// engine has one record whatever it asked for. What waits is bounded by what is under way:
  /// every choice that the engine takes over ends in a record.
  std::optional<RequestGroup> add(const records::RequestRecord& record);

 private:
  struct Waiting {
    RequestGroup group;
    int64_t left = 0;
  };
  Mutex mutex_;
  std::map<std::pair<std::string, int64_t>, Waiting> waiting_ GUARDED_BY(mutex_);
};

}  // namespace touchstone::telemetry
