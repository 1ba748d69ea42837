#include "simulator/simulation.h"

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include "base/check.h"
#include "base/text.h"
#include "simulator/cluster/waiting_room.h"
#include "simulator/cluster/ways.h"
#include "simulator/kernel/event_queue.h"
#include "simulator/kernel/priorities.h"

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
  counters.external_tokens += more.external_tokens;
}

class Simulation final {
 public:
  Simulation(std::span<const ReplicaOptions> replicas, Router& router, RequestSource& source,
             Observer& observer, uint64_t seed, const FleetOptions& fleet, Router* decode_router)
      : options_(replicas),
        fleet_options_(fleet),
        seed_(seed),
        front_{router, fleet.link ? Role::kPrefill : Role::kBoth, {}},
        source_(source),
        observer_(observer),
        fleet_(replicas, fleet),
        ways_(replicas, fleet.link),
        start_planned_(replicas.size()),
        crashes_(replicas.size()),
        lost_counters_(replicas.size()) {
    for (const ReplicaOptions& options : replicas) {
      replicas_.emplace_back(std::in_place, static_cast<int32_t>(replicas_.size()), options, seed,
                             observer);
    }
    if (fleet.link) decode_.emplace(Pool{*decode_router, Role::kDecode, {}});
  }

  Result<SimulationEnd> run() {
    for (const Outage& outage : fleet_options_.outages) {
      push(outage.at_ns, EventKind::kReplicaDown, outage.replica,
           static_cast<uint64_t>(outage.length_ns));
    }
    if (fleet_options_.autoscaler) push_tick();
    RETURN_IF_ERROR(fetch());
    while (!events_.empty() && (work_ > 0 || unfinished_ > 0)) {
      const Event event = events_.pop();
      work_ -= is_work(event.kind) ? 1 : 0;
      RETURN_IF_ERROR(handle(event));
    }
    for (Pool* pool : {&front_, decode_ ? &*decode_ : nullptr}) {
      while (pool != nullptr && !pool->room.empty()) {  // nothing will serve them any more
        observer_.on_lost(pool->room.pop(), Loss::kRefused, events_.now_ns());
      }
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
  /// Replicas of one role: who chooses among them, and what waits for them.
  struct Pool {
    Router& router;
    Role role;
    WaitingRoom room;
  };
  void push(int64_t time_ns, EventKind kind, int32_t index, uint64_t subject) {
    work_ += is_work(kind) ? 1 : 0;
    events_.push(time_ns, kind, index, subject);
  }

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
        if (event.replica < 0) return give_up(event.subject);
        replica(event.replica).abort(event.subject);
        break;
      case EventKind::kArrival:
        return arrive(event);
      case EventKind::kDelivery:
        deliver(event);
        return {};
      case EventKind::kStepStart:
        if (event.subject != crashes(event.replica)) return {};
        RETURN_IF_ERROR(plan_step(event.replica));
        break;
      case EventKind::kReplicaDown:
        return crash(event.replica, static_cast<int64_t>(event.subject));
      case EventKind::kReplicaUp:
        fleet_.up(event.replica);
        return serve_queues();
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
    ++unfinished_;
    push(request.request.arrival_ns, EventKind::kArrival, 0, request.request.id);
    return {};
  }

  Status fetch() {
    const Result<bool> there = source_.next(next_);
    if (!there) return there.error();
    return *there ? expect(next_) : Status();
  }

  /// Tells the source what ended in a replica, and expects what follows from it.
  Status follow(int32_t index) {
    for (const Replica::Ended& ended : replica(index).take_ended()) {
      fleet_.ended(index, events_.now_ns());
      auto copy = keeps_copies() ? sent_.extract(ended.id) : Sent::node_type();
      const bool goes_on =
          decode_ && !ended.aborted && options_[static_cast<size_t>(index)].role == Role::kPrefill;
      if (goes_on) {
        SimulatedRequest& request = copy.mapped().second;
        request.prefilled_by = index;
        RETURN_IF_ERROR(route(std::move(request), *decode_));
      } else {
        RETURN_IF_ERROR(end_in_source(ended.id, events_.now_ns() + ways_.out_ns(index)));
      }
    }
    return serve_queues();
  }

  Status end_in_source(scheduler::RequestId id, int64_t time_ns) {
    --unfinished_;
    follow_ups_.clear();
    RETURN_IF_ERROR(source_.on_end(id, time_ns, follow_ups_));
    for (SimulatedRequest& request : follow_ups_) {
      RETURN_IF_ERROR(expect(request));
      expected_.emplace(request.request.id, std::move(request));
    }
    return {};
  }

  Status arrive(const Event& event) {
    const auto follow_up = expected_.find(event.subject);
    if (follow_up == expected_.end()) {
      RETURN_IF_ERROR(route(std::move(next_), front_));
      return fetch();
    }
    SimulatedRequest request = std::move(follow_up->second);
    expected_.erase(follow_up);
    return route(std::move(request), front_);
  }

  Status route(SimulatedRequest&& request, Pool& pool) {
    const Need need = need_of(request, pool);
    if (!pool.room.empty()) return wait(std::move(request), pool);
    const std::span<const ReplicaView> open = fleet_.open(need);
    if (!open.empty()) return send(std::move(request), open, pool);
    if (!fleet_.has(need)) {
      return invalid_argument("request " + request.name + ": adapter: got " +
                              quote(request.adapter) + ", expected one that a replica has");
    }
    return wait(std::move(request), pool);
  }

  static Need need_of(const SimulatedRequest& request, const Pool& pool) {
    return {.role = pool.role, .adapter = request.adapter};
  }

  Status send(SimulatedRequest&& request, std::span<const ReplicaView> open, Pool& pool) {
    const size_t chosen = pool.router.choose(request, open);
    BASE_CHECK(chosen < open.size(), chosen, " of ", open.size());
    const int32_t index = open[chosen].replica;
    RETURN_IF_ERROR(check_request(request, replica(index).scheduler().config()));
    if (!request.adapter.empty()) request.request.adapter = number_of(request.adapter);
    fleet_.sent(index, request);
    const int64_t there_ns = ways_.arrival_ns(request, index, events_.now_ns());
    if (there_ns > kLatestNs) {
      return invalid_argument("request " + request.name + ": got a way that takes 236 years");
    }
    if (request.abort_ns && *request.abort_ns > there_ns) {
      push(*request.abort_ns, EventKind::kAbort, index, request.request.id);
    }
    if (keeps_copies()) sent_[request.request.id] = {index, request};
    if (pool.role == Role::kPrefill) {
      request.prefill_only = true;
      request.request.max_tokens = 1;
      request.outcome = records::Outcome::kLength;
    }
    if (there_ns > events_.now_ns()) {
      push(there_ns, EventKind::kDelivery, index, request.request.id);
      ways_.put(std::move(request), index, there_ns);
      return {};
    }
    hand_in(std::move(request), index);
    return {};
  }

  /// Unless its replica crashed meanwhile.
  void deliver(const Event& event) {
    auto request = ways_.take(event.subject, event.replica, event.time_ns);
    if (request) hand_in(std::move(*request), event.replica);
  }

  /// The replica learns of a client that went meanwhile after its request.
  void hand_in(SimulatedRequest&& request, int32_t index) {
    const bool gone = request.abort_ns && *request.abort_ns <= events_.now_ns();
    const scheduler::RequestId id = request.request.id;
    replica(index).arrive(std::move(request));
    if (gone) replica(index).abort(id);
    plan_start(index);
  }

  int32_t number_of(const std::string& adapter) {
    const auto [found, added] =
        adapters_.try_emplace(adapter, static_cast<int32_t>(adapters_.size()) + 1);
    return found->second;
  }

  /// In front of the router, if there is room. What was computed already is not turned away.
  Status wait(SimulatedRequest&& request, Pool& pool) {
    const bool has_room = pool.room.size() < fleet_options_.queue_max.value_or(INT64_MAX);
    if (!has_room && pool.role != Role::kDecode) return lose(request, Loss::kRefused);
    if (request.abort_ns) {
      push(std::max(events_.now_ns(), *request.abort_ns), EventKind::kAbort, -1,
           request.request.id);
    }
    pool.room.push(std::move(request));
    return {};
  }

  /// One that still waits in front of a router.
  Status give_up(scheduler::RequestId id) {
    for (Pool* pool : {&front_, decode_ ? &*decode_ : nullptr}) {
      if (pool == nullptr) continue;
      if (const auto request = pool->room.take(id)) return lose(*request, Loss::kGaveUp);
    }
    return {};
  }

  Status lose(const SimulatedRequest& request, Loss loss) {
    observer_.on_lost(request, loss, events_.now_ns());
    return end_in_source(request.request.id, events_.now_ns());
  }

  Status serve_queues() {
    if (decode_) RETURN_IF_ERROR(serve_queue(*decode_));
    return serve_queue(front_);
  }

  Status serve_queue(Pool& pool) {
    while (!pool.room.empty()) {
      const std::span<const ReplicaView> open = fleet_.open(need_of(pool.room.front(), pool));
      if (open.empty()) break;
      RETURN_IF_ERROR(send(pool.room.pop(), open, pool));
    }
    return {};
  }

  bool keeps_copies() const { return decode_ || !fleet_options_.outages.empty(); }

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
      ways_.take_back(request.request.id);
      request.prefilled_by.reset();  // from the start
      if (!fleet_options_.retry) {
        RETURN_IF_ERROR(lose(request, Loss::kCrashed));
        continue;
      }
      observer_.on_lost(request, Loss::kCrashed, events_.now_ns());
      RETURN_IF_ERROR(route(std::move(request), front_));
    }
    return {};
  }

  Status autoscale() {
    for (const int32_t index : fleet_.scale(events_.now_ns(), front_.room.size())) {
      push_later(options_[static_cast<size_t>(index)].start_up_ns, 0, EventKind::kReplicaUp, index);
    }
    if (!events_.empty()) push_tick();  // else there is nothing left to do
    return serve_queues();
  }

  void push_tick() {
    push_later(fleet_options_.autoscaler->interval_ns, 0, EventKind::kAutoscale, 0);
  }

  /// Times beyond the last instant do not happen.
  void push_later(int64_t wait_ns, int64_t more_ns, EventKind kind, int32_t index) {
    const int64_t left_ns = kLatestNs - events_.now_ns();
    if (wait_ns > left_ns || more_ns > left_ns - wait_ns) return;
    push(events_.now_ns() + wait_ns + more_ns, kind, index, 0);
  }

  /// At the step boundary that is now, once.
  void plan_start(int32_t index) {
    const auto planned = start_planned_.begin() + index;
    if (*planned || !replica(index).may_plan(events_.now_ns())) return;
    *planned = true;
    push(events_.now_ns(), EventKind::kStepStart, index, crashes(index));
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
    push(now_ns + *duration_ns, EventKind::kStepEnd, index, crashes(index));
    return {};
  }

  const std::span<const ReplicaOptions> options_;
  const FleetOptions& fleet_options_;
  const uint64_t seed_;
  Pool front_;
  std::optional<Pool> decode_;  // with replicas that prefill and decode apart
  RequestSource& source_;
  Observer& observer_;
  std::deque<std::optional<Replica>> replicas_;  // optional: made anew after a crash
  Fleet fleet_;
  Ways ways_;
  std::vector<bool> start_planned_;
  std::vector<uint64_t> crashes_;
  std::vector<scheduler::Counters> lost_counters_;  // of replicas that crashed
  /// When what is in flight may be needed again: where it is, and how it came.
  using Sent = std::map<scheduler::RequestId, std::pair<int32_t, SimulatedRequest>>;
  Sent sent_;
  std::map<std::string, int32_t> adapters_;  // their numbers, from 1
  EventQueue events_;
  int64_t work_ = 0;        // events that are work
  int64_t unfinished_ = 0;  // requests that are expected or not over
  SimulatedRequest next_;   // the source's, which comes next
  std::vector<SimulatedRequest> follow_ups_;
  std::unordered_map<scheduler::RequestId, SimulatedRequest> expected_;  // looked up only
};

}  // namespace

Result<SimulationEnd> run_simulation(std::span<const ReplicaOptions> replicas, Router& router,
                                     RequestSource& source, Observer& observer, uint64_t seed,
                                     const FleetOptions& fleet, Router* decode_router) {
  BASE_CHECK(!replicas.empty());
  RETURN_IF_ERROR(validate(fleet, replicas));
  BASE_CHECK(!fleet.link || decode_router != nullptr);
  for (const ReplicaOptions& replica : replicas) {
    RETURN_IF_ERROR(scheduler::validate(replica.config));
    if (replica.config.block_size == replicas.front().config.block_size) continue;
    return invalid_argument("block_size: got replicas of " +
                            std::to_string(replicas.front().config.block_size) + " and of " +
                            std::to_string(replica.config.block_size) +
                            " tokens a block, expected one size");
  }
  return Simulation(replicas, router, source, observer, seed, fleet, decode_router).run();
}

Result<SimulationEnd> run_simulation(const scheduler::Config& config, RequestSource& source,
                                     const StepTimeModel& model, Observer& observer) {
  const ReplicaOptions replica{config, model};
  const auto router = make_round_robin_router();
  return run_simulation({&replica, 1}, *router, source, observer, 0);
}

}  // namespace touchstone::simulator
