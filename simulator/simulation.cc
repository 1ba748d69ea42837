#include "simulator/simulation.h"

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
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

void add_counters(const scheduler::Counters& more, scheduler::Counters& counters) {
  counters.prefix_cache_queries += more.prefix_cache_queries;
  counters.prefix_cache_hits += more.prefix_cache_hits;
  counters.preemptions += more.preemptions;
}

class Simulation final {
 public:
  Simulation(std::span<const ReplicaOptions> replicas, Router& router, RequestSource& source,
             Observer& observer, uint64_t seed, const FleetOptions& fleet)
      : options_(replicas),
        fleet_options_(fleet),
        seed_(seed),
        router_(router),
        source_(source),
        observer_(observer),
        fleet_(replicas.size(), fleet),
        start_planned_(replicas.size()),
        crashes_(replicas.size()),
        lost_counters_(replicas.size()) {
    for (const ReplicaOptions& options : replicas) {
      replicas_.emplace_back(std::in_place, static_cast<int32_t>(replicas_.size()), options, seed,
                             observer);
    }
  }

  Result<SimulationEnd> run() {
    for (const Outage& outage : fleet_options_.outages) {
      events_.push(outage.at_ns, EventKind::kReplicaDown, outage.replica,
                   static_cast<uint64_t>(outage.length_ns));
    }
    if (fleet_options_.autoscaler) push_tick();
    RETURN_IF_ERROR(fetch());
    while (!events_.empty()) RETURN_IF_ERROR(handle(events_.pop()));
    for (const SimulatedRequest& request : queue_) {  // nothing will serve them any more
      observer_.on_lost(request, Loss::kRefused, events_.now_ns());
    }
    SimulationEnd end{.events = events_.events(),
                      .fingerprint = events_.fingerprint(),
                      .end_ns = events_.now_ns(),
                      .counters = std::move(lost_counters_),
                      .on_ns = fleet_.on_ns(events_.now_ns())};
    for (size_t i = 0; i < replicas_.size(); ++i) {
      add_counters(replicas_[i]->scheduler().counters(), end.counters[i]);
    }
    return end;
  }

 private:
  Replica& replica(int32_t index) { return *replicas_[static_cast<size_t>(index)]; }
  uint64_t crashes(int32_t index) const { return crashes_[static_cast<size_t>(index)]; }

  Status handle(const Event& event) {
    switch (event.kind) {
      case EventKind::kStepEnd:
        if (event.subject != crashes(event.replica)) return {};  // of one that crashed meanwhile
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
        if (event.subject != crashes(event.replica)) return {};
        RETURN_IF_ERROR(plan_step(event.replica));
        break;
      case EventKind::kReplicaDown:
        return crash(event.replica, static_cast<int64_t>(event.subject));
      case EventKind::kReplicaUp:
        fleet_.up(event.replica);
        return serve_queue();
      case EventKind::kAutoscale:
        return autoscale();
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
      fleet_.ended(index, events_.now_ns());
      if (keeps_copies()) sent_.erase(id);
      RETURN_IF_ERROR(end_in_source(id));
    }
    return queue_.empty() ? Status() : serve_queue();
  }

  Status end_in_source(scheduler::RequestId id) {
    follow_ups_.clear();
    RETURN_IF_ERROR(source_.on_end(id, events_.now_ns(), follow_ups_));
    for (SimulatedRequest& request : follow_ups_) {
      RETURN_IF_ERROR(expect(request));
      expected_.emplace(request.request.id, std::move(request));
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
    if (!queue_.empty()) return wait(std::move(request));
    const std::span<const ReplicaView> open = fleet_.open();
    return open.empty() ? wait(std::move(request)) : send(std::move(request), open);
  }

  Status send(SimulatedRequest&& request, std::span<const ReplicaView> open) {
    const size_t chosen = router_.choose(request, open);
    BASE_CHECK(chosen < open.size(), chosen, " of ", open.size());
    const int32_t index = open[chosen].replica;
    RETURN_IF_ERROR(check_request(request, replica(index).scheduler().config()));
    fleet_.sent(index, request);
    if (request.abort_ns) {
      events_.push(std::max(events_.now_ns(), *request.abort_ns), EventKind::kAbort, index,
                   request.request.id);
    }
    if (keeps_copies()) sent_[request.request.id] = {index, request};
    replica(index).arrive(std::move(request));
    plan_start(index);
    return {};
  }

  /// In front of the router, if there is room.
  Status wait(SimulatedRequest&& request) {
    const auto waiting = static_cast<int64_t>(queue_.size());
    if (waiting < fleet_options_.queue_max.value_or(INT64_MAX)) {
      queue_.push_back(std::move(request));
      return {};
    }
    return lose(request, Loss::kRefused);
  }

  Status lose(const SimulatedRequest& request, Loss loss) {
    observer_.on_lost(request, loss, events_.now_ns());
    return end_in_source(request.request.id);
  }

  Status serve_queue() {
    while (!queue_.empty()) {
      const std::span<const ReplicaView> open = fleet_.open();
      if (open.empty()) break;
      SimulatedRequest request = std::move(queue_.front());
      queue_.pop_front();
      const bool gone = request.abort_ns && *request.abort_ns <= events_.now_ns();
      RETURN_IF_ERROR(gone ? lose(request, Loss::kGaveUp) : send(std::move(request), open));
    }
    return {};
  }

  bool keeps_copies() const { return !fleet_options_.outages.empty(); }

  /// Everything that the replica had is lost: requests in flight, cache, steps.
  Status crash(int32_t index, int64_t length_ns) {
    if (!fleet_.serves(index)) return {};
    const auto i = static_cast<size_t>(index);
    add_counters(replica(index).scheduler().counters(), lost_counters_[i]);
    ++crashes_[i];
    replicas_[i].emplace(index, options_[i], seed_ + crashes_[i], observer_);
    start_planned_[i] = false;
    fleet_.crash(index);
    push_later(length_ns, options_[i].start_up_ns, EventKind::kReplicaUp, index);
    std::vector<SimulatedRequest> interrupted;  // by id, the order in which they came
    for (auto at = sent_.begin(); at != sent_.end();) {
      if (at->second.first != index) {
        ++at;
        continue;
      }
      interrupted.push_back(std::move(at->second.second));
      at = sent_.erase(at);
    }
    for (SimulatedRequest& request : interrupted) {
      if (!fleet_options_.retry) {
        RETURN_IF_ERROR(lose(request, Loss::kCrashed));
        continue;
      }
      observer_.on_lost(request, Loss::kCrashed, events_.now_ns());
      RETURN_IF_ERROR(route(std::move(request)));
    }
    return {};
  }

  Status autoscale() {
    const auto queued = static_cast<int64_t>(queue_.size());
    for (const int32_t index : fleet_.scale(events_.now_ns(), queued)) {
      push_later(options_[static_cast<size_t>(index)].start_up_ns, 0, EventKind::kReplicaUp, index);
    }
    if (!events_.empty()) push_tick();  // else there is nothing left to do
    return serve_queue();
  }

  void push_tick() {
    push_later(fleet_options_.autoscaler->interval_ns, 0, EventKind::kAutoscale, 0);
  }

  /// Times beyond the last instant do not happen.
  void push_later(int64_t wait_ns, int64_t more_ns, EventKind kind, int32_t index) {
    const int64_t left_ns = kLatestNs - events_.now_ns();
    if (wait_ns > left_ns || more_ns > left_ns - wait_ns) return;
    events_.push(events_.now_ns() + wait_ns + more_ns, kind, index, 0);
  }

  /// At the step boundary that is now, once.
  void plan_start(int32_t index) {
    const auto planned = start_planned_.begin() + index;
    if (*planned || !replica(index).may_plan(events_.now_ns())) return;
    *planned = true;
    events_.push(events_.now_ns(), EventKind::kStepStart, index, crashes(index));
  }

  Status plan_step(int32_t index) {
    start_planned_[static_cast<size_t>(index)] = false;
    if (replica(index).plan_step(events_.now_ns())) {
      fleet_.reported(index, replica(index).state(), events_.now_ns());
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
    events_.push(now_ns + *duration_ns, EventKind::kStepEnd, index, crashes(index));
    return {};
  }

  const std::span<const ReplicaOptions> options_;
  const FleetOptions& fleet_options_;
  const uint64_t seed_;
  Router& router_;
  RequestSource& source_;
  Observer& observer_;
  std::deque<std::optional<Replica>> replicas_;  // optional: made anew after a crash
  Fleet fleet_;
  std::vector<bool> start_planned_;
  std::vector<uint64_t> crashes_;
  std::vector<scheduler::Counters> lost_counters_;  // of replicas that crashed
  std::deque<SimulatedRequest> queue_;              // in front of the router
  /// With outages only: what is in flight, and where.
  std::map<scheduler::RequestId, std::pair<int32_t, SimulatedRequest>> sent_;
  EventQueue events_;
  SimulatedRequest next_;  // the source's, which comes next
  std::vector<SimulatedRequest> follow_ups_;
  std::unordered_map<scheduler::RequestId, SimulatedRequest> expected_;  // looked up only
};

}  // namespace

Result<SimulationEnd> run_simulation(std::span<const ReplicaOptions> replicas, Router& router,
                                     RequestSource& source, Observer& observer, uint64_t seed,
                                     const FleetOptions& fleet) {
  BASE_CHECK(!replicas.empty());
  RETURN_IF_ERROR(validate(fleet, replicas.size()));
  for (const ReplicaOptions& replica : replicas) {
    RETURN_IF_ERROR(scheduler::validate(replica.config));
    if (replica.config.block_size == replicas.front().config.block_size) continue;
    return invalid_argument("block_size: got replicas of " +
                            std::to_string(replicas.front().config.block_size) + " and of " +
                            std::to_string(replica.config.block_size) +
                            " tokens a block, expected one size");
  }
  return Simulation(replicas, router, source, observer, seed, fleet).run();
}

Result<SimulationEnd> run_simulation(const scheduler::Config& config, RequestSource& source,
                                     const StepTimeModel& model, Observer& observer) {
  const ReplicaOptions replica{config, model};
  const auto router = make_round_robin_router();
  return run_simulation({&replica, 1}, *router, source, observer, 0);
}

}  // namespace touchstone::simulator
