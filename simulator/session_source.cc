#include "simulator/session_source.h"

#include <algorithm>
#include <deque>
#include <queue>
#include <string>
#include <unordered_map>
#include <utility>

namespace touchstone::simulator {
namespace {

class SessionSource final : public RequestSource {
 public:
  SessionSource(WorkloadFeed feed, const scheduler::Config& config)
      : feed_(std::move(feed)), config_(config) {}

  Result<bool> next(SimulatedRequest& request) override {
    while (next_choice_ == choices_.size()) {
      RETURN_IF_ERROR(fill_head());
      const bool late_first =
          !late_.empty() && (!has_head_ || late_.top().arrival_ns <= head_.arrival_ns);
      if (!late_first && !has_head_) return false;
      workload::Request chosen;
      if (late_first) {
        chosen = late_.top();
        late_.pop();
      } else {
        chosen = std::move(head_);
        has_head_ = false;
      }
      choices_.clear();
      next_choice_ = 0;
      // One that was late is in flight for its session already.
      RETURN_IF_ERROR(make_choices(chosen, choices_, late_first ? 1 : 0));
    }
    request = std::move(choices_[next_choice_++]);
    return true;
  }

  Status on_end(scheduler::RequestId id, int64_t time_ns,
                std::vector<SimulatedRequest>& follow_ups) override {
    const auto found = session_of_.find(id);
    if (found == session_of_.end()) return {};
    Session& session = *found->second;
    session_of_.erase(found);
    session.end_ns = std::max(session.end_ns, time_ns);
    if (--session.in_flight > 0 || session.held.empty()) return {};
    workload::Request turn = std::move(session.held.front());
    session.held.pop_front();
    turn.arrival_ns = std::max(turn.arrival_ns, after(time_ns, *turn.think_ns));
    return make_choices(turn, follow_ups, 0);
  }

 private:
  struct Session {
    int64_t in_flight = 0;  ///< choices that are not over
    int64_t end_ns = 0;     ///< of the last that ended
    std::deque<workload::Request> held;
  };
  struct Later {
    bool operator()(const workload::Request& a, const workload::Request& b) const {
      return std::pair(a.arrival_ns, std::string_view(a.name)) >
             std::pair(b.arrival_ns, std::string_view(b.name));
    }
  };

  static int64_t after(int64_t time_ns, int64_t wait_ns) {
    return time_ns + std::min(wait_ns, INT64_MAX - time_ns);
  }

  /// The next request of the feed that arrives at a time of its own; those that must wait for their
  /// session are put aside.
  Status fill_head() {
    while (!has_head_ && !feed_over_) {
      const auto there = feed_(head_);
      if (!there) return there.error();
      if (!*there) {
        feed_over_ = true;
        break;
      }
      if (!head_.think_ns) {
        has_head_ = true;
        break;
      }
      Session& session = sessions_[head_.session];
      if (session.in_flight > 0 || !session.held.empty()) {
        session.held.push_back(std::move(head_));
        continue;
      }
      const int64_t ready_ns = after(session.end_ns, *head_.think_ns);
      if (session.end_ns == 0 || ready_ns <= head_.arrival_ns) {
        has_head_ = true;
        break;
      }
      head_.arrival_ns = ready_ns;
      ++session.in_flight;
      late_.push(std::move(head_));
    }
    return {};
  }

  /// Appends the choices; `counted`: what of them stands in the session's books already.
  Status make_choices(const workload::Request& request, std::vector<SimulatedRequest>& choices,
                      int64_t counted) {
    auto made = simulated_requests(request, next_id_, config_);
    if (!made) return std::move(made).error();
    next_id_ += made->size();
    if (!request.session.empty()) {
      Session& session = sessions_[request.session];
      session.in_flight += std::ssize(*made) - counted;
      for (const SimulatedRequest& choice : *made) session_of_[choice.request.id] = &session;
    }
    std::move(made->begin(), made->end(), std::back_inserter(choices));
    return {};
  }

  WorkloadFeed feed_;
  const scheduler::Config config_;
  workload::Request head_;  // of the feed
  bool has_head_ = false;
  bool feed_over_ = false;
  std::priority_queue<workload::Request, std::vector<workload::Request>, Later> late_;
  std::vector<SimulatedRequest> choices_;
  size_t next_choice_ = 0;
  uint64_t next_id_ = 1;
  std::unordered_map<std::string, Session> sessions_;              // looked up only
  std::unordered_map<scheduler::RequestId, Session*> session_of_;  // looked up only
};

}  // namespace

std::unique_ptr<RequestSource> make_session_source(WorkloadFeed feed,
                                                   const scheduler::Config& config) {
  return std::make_unique<SessionSource>(std::move(feed), config);
}

}  // namespace touchstone::simulator
