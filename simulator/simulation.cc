#include "simulator/simulation.h"

#include <algorithm>
#include <deque>
#include <string>
#include <unordered_map>
#include <utility>

#include "base/check.h"
#include "simulator/kernel/event_queue.h"

namespace touchstone::simulator {
namespace {

Status check_request(const SimulatedRequest& r, const scheduler::Config& config) {
  const scheduler::NewRequest& request = r.request;
  const std::string who = "request " + r.name;
  if (request.num_prompt_tokens < 1 || request.num_prompt_tokens >= config.max_model_len) {
    return invalid_argument(who + ": got a prompt of " + std::to_string(request.num_prompt_tokens) +
                                " tokens, expected 1 to " +
                                std::to_string(config.max_model_len - 1),
                            "max_model_len is " + std::to_string(config.max_model_len));
  }
  if (request.max_tokens < 1) {
    return invalid_argument(who + ": got " + std::to_string(request.max_tokens) +
                            " output tokens, expected at least 1");
  }
  return {};
}

class Simulation final {
 public:
  Simulation(std::span<const ReplicaOptions> replicas, Router& router, RequestSource& source,
             Observer& observer, uint64_t seed)
      : router_(router), source_(source), views_(replicas.size()), start_planned_(replicas.size()) {
    for (const ReplicaOptions& options : replicas) {
      replicas_.emplace_back(static_cast<int32_t>(replicas_.size()), options, seed, observer);
    }
  }

  Result<SimulationEnd> run() {
    RETURN_IF_ERROR(fetch());
    while (!events_.empty()) RETURN_IF_ERROR(handle(events_.pop()));
    SimulationEnd end{.events = events_.events(),
                      .fingerprint = events_.fingerprint(),
                      .end_ns = events_.now_ns()};
    for (const Replica& replica : replicas_) end.counters.push_back(replica.scheduler().counters());
    return end;
  }

 private:
  Replica& replica(int32_t index) { return replicas_[static_cast<size_t>(index)]; }

  Status handle(const Event& event) {
    switch (event.kind) {
      case EventKind::kStepEnd:
        replica(event.replica).end_step(event.time_ns);
        RETURN_IF_ERROR(follow(event.replica));
        RETURN_IF_ERROR(start_step(event.replica));  // one may be planned already
        break;
      case EventKind::kAbort:
        replica(event.replica).abort(event.subject);
        break;
      case EventKind::kArrival:
        return arrive(event);
      case EventKind::kStepStart:
        RETURN_IF_ERROR(plan_step(event.replica));
        break;
    }
    plan_start(event.replica);
    return {};
  }

  /// Makes its arrival an event.
  Status expect(const SimulatedRequest& request) {
    if (request.request.arrival_ns < events_.now_ns()) {
      return invalid_argument("request " + request.name + ": got arrival " +
                                  std::to_string(request.request.arrival_ns) +
                                  " ns, expected at least " + std::to_string(events_.now_ns()) +
                                  " ns as of the request before",
                              "sort the requests by arrival");
    }
    if (request.request.arrival_ns > kLatestNs) {
      return invalid_argument("request " + request.name + ": got arrival " +
                              std::to_string(request.request.arrival_ns) +
                              " ns, expected at most " + std::to_string(kLatestNs) +
                              " ns, which is 236 years");
    }
    events_.push(request.request.arrival_ns, EventKind::kArrival, 0, request.request.id);
    return {};
  }

  Status fetch() {
    const Result<bool> there = source_.next(next_);
    if (!there) return there.error();
    return *there ? expect(next_) : Status();
  }

  /// Tells the source what ended in a replica, and expects what follows from it.
  Status follow(int32_t index) {
    for (const scheduler::RequestId id : replica(index).take_ended()) {
      --views_[static_cast<size_t>(index)].in_flight;
      follow_ups_.clear();
      RETURN_IF_ERROR(source_.on_end(id, events_.now_ns(), follow_ups_));
      for (SimulatedRequest& request : follow_ups_) {
        RETURN_IF_ERROR(expect(request));
        expected_.emplace(request.request.id, std::move(request));
      }
    }
    return {};
  }

  Status arrive(const Event& event) {
    const auto follow_up = expected_.find(event.subject);
    if (follow_up == expected_.end()) {
      RETURN_IF_ERROR(route(std::move(next_)));
      return fetch();
    }
    SimulatedRequest request = std::move(follow_up->second);
    expected_.erase(follow_up);
    return route(std::move(request));
  }

  Status route(SimulatedRequest&& request) {
    const size_t chosen = router_.choose(request, views_);
    BASE_CHECK(chosen < replicas_.size(), chosen, " of ", replicas_.size());
    const auto index = static_cast<int32_t>(chosen);
    RETURN_IF_ERROR(check_request(request, replica(index).scheduler().config()));
    ++views_[chosen].in_flight;
    ++views_[chosen].sent_since_report;
    if (request.abort_ns) {
      events_.push(std::max(events_.now_ns(), *request.abort_ns), EventKind::kAbort, index,
                   request.request.id);
    }
    replica(index).arrive(std::move(request));
    plan_start(index);
    return {};
  }

  /// At the step boundary that is now, once.
  void plan_start(int32_t index) {
    const auto planned = start_planned_.begin() + index;
    if (*planned || !replica(index).may_plan(events_.now_ns())) return;
    *planned = true;
    events_.push(events_.now_ns(), EventKind::kStepStart, index, 0);
  }

  Status plan_step(int32_t index) {
    start_planned_[static_cast<size_t>(index)] = false;
    if (replica(index).plan_step(events_.now_ns())) {
      ReplicaView& view = views_[static_cast<size_t>(index)];
      view.reported = replica(index).state();
      view.reported_ns = events_.now_ns();
      view.sent_since_report = 0;
      RETURN_IF_ERROR(start_step(index));
    }
    return follow(index);  // those that hung up
  }

  /// If one is planned and none runs.
  Status start_step(int32_t index) {
    const int64_t now_ns = events_.now_ns();
    const auto duration_ns = replica(index).start_step(now_ns);
    if (!duration_ns) return {};
    if (*duration_ns > kLatestNs - now_ns) {
      return invalid_argument("step time: got " + std::to_string(*duration_ns) +
                                  " ns for a step at " + std::to_string(now_ns) +
                                  " ns, expected an end within 236 years",
                              "use shorter steps or earlier arrivals");
    }
    events_.push(now_ns + *duration_ns, EventKind::kStepEnd, index, 0);
    return {};
  }

  Router& router_;
  RequestSource& source_;
  std::deque<Replica> replicas_;
  std::vector<ReplicaView> views_;
  std::vector<bool> start_planned_;
  EventQueue events_;
  SimulatedRequest next_;  // the source's, which comes next
  std::vector<SimulatedRequest> follow_ups_;
  std::unordered_map<scheduler::RequestId, SimulatedRequest> expected_;  // looked up only
};

}  // namespace

Result<SimulationEnd> run_simulation(std::span<const ReplicaOptions> replicas, Router& router,
                                     RequestSource& source, Observer& observer, uint64_t seed) {
  BASE_CHECK(!replicas.empty());
  for (const ReplicaOptions& replica : replicas) {
    RETURN_IF_ERROR(scheduler::validate(replica.config));
    if (replica.config.block_size == replicas.front().config.block_size) continue;
    return invalid_argument("block_size: got replicas of " +
                            std::to_string(replicas.front().config.block_size) + " and of " +
                            std::to_string(replica.config.block_size) +
                            " tokens a block, expected one size");
  }
  return Simulation(replicas, router, source, observer, seed).run();
}

Result<SimulationEnd> run_simulation(const scheduler::Config& config, RequestSource& source,
                                     const StepTimeModel& model, Observer& observer) {
  const ReplicaOptions replica{config, model};
  const auto router = make_round_robin_router();
  return run_simulation({&replica, 1}, *router, source, observer, 0);
}

}  // namespace touchstone::simulator
