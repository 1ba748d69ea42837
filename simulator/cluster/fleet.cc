#include "simulator/cluster/fleet.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "base/text.h"

namespace touchstone::simulator {
namespace {

Error bad(const std::string& option, int64_t got, const std::string& expected) {
  return invalid_argument(option + ": got " + std::to_string(got) + ", expected " + expected);
}

Status check_autoscaler(const AutoscalerOptions& a, int64_t replicas) {
  if (a.interval_ns < 1) return bad("autoscaler interval", a.interval_ns, "at least 1 ns");
  if (a.settle_ns < 0) return bad("autoscaler settle time", a.settle_ns, "0 or more");
  if (a.least < 1 || a.least > replicas) {
    return bad("autoscaler least", a.least, "1 to " + std::to_string(replicas) + " replicas");
  }
  if (!(a.target_in_flight > 0) || !std::isfinite(a.target_in_flight)) {
    return invalid_argument("autoscaler target in flight: got " +
                            format_double(a.target_in_flight) + ", expected more than 0");
  }
  return {};
}

bool is_positive(double value) { return value > 0 && std::isfinite(value); }

/// Replicas that prefill and decode apart come together, with a link, and without an autoscaler,
/// which knows one kind alone.
Status check_roles(const FleetOptions& o, std::span<const ReplicaOptions> replicas) {
  const auto count = [&](Role role) {
    return std::count_if(replicas.begin(), replicas.end(),
                         [role](const ReplicaOptions& r) { return r.role == role; });
  };
  const int64_t both = count(Role::kBoth);
  const int64_t prefill = count(Role::kPrefill);
  const int64_t decode = count(Role::kDecode);
  if (prefill + decode == 0) {
    if (!o.link) return {};
    return invalid_argument("transfer: got it without replicas of role prefill and decode");
  }
  if (both > 0 || prefill == 0 || decode == 0) {
    return invalid_argument("role: got " + std::to_string(prefill) + " prefill, " +
                                std::to_string(decode) + " decode and " + std::to_string(both) +
                                " other replicas, expected prefill and decode and no other",
                            "a prompt that was computed must find a replica to go on in");
  }
  if (!o.link || !is_positive(o.link->bytes_per_s) || !is_positive(o.link->bytes_per_token) ||
      o.link->latency_ns < 0) {
    return invalid_argument("transfer: got no link, expected its rate and the bytes of a token",
                            "keys and values go from prefill to decode over it");
  }
  if (o.autoscaler) return invalid_argument("autoscaler: got it with roles, expected one of them");
  return {};
}

Status check_offload(const ReplicaOptions& replica) {
  if (!replica.offload) return {};
  const OffloadOptions& o = *replica.offload;
  if (o.blocks < 1) return bad("offload blocks", o.blocks, "at least 1");
  if (!is_positive(o.bytes_per_s) || !is_positive(o.bytes_per_token)) {
    return invalid_argument("offload: got no rate or size, expected more than 0");
  }
  if (!replica.config.enable_prefix_caching || replica.config.sliding_window > 0) {
    return invalid_argument(
        "offload: got it without prefix caching or with a sliding window, expected neither",
        "blocks are found again by the hashes of the prefix cache");
  }
  return {};
}

}  // namespace

Status validate(const FleetOptions& o, std::span<const ReplicaOptions> all) {
  const size_t replicas = all.size();
  RETURN_IF_ERROR(check_roles(o, all));
  for (const ReplicaOptions& replica : all) {
    RETURN_IF_ERROR(check_offload(replica));
    if (replica.adapter_load_ns < 0)
      return bad("adapter load", replica.adapter_load_ns, "0s or more");
  }
  if (o.report_interval_ns < 0) return bad("report interval", o.report_interval_ns, "0 or more");
  if (o.in_flight_max && *o.in_flight_max < 1) {
    return bad("requests in flight at a replica", *o.in_flight_max, "at least 1");
  }
  if (o.queue_max && *o.queue_max < 0) return bad("queue", *o.queue_max, "0 or more");
  for (const Outage& outage : o.outages) {
    if (outage.replica < 0 || outage.replica >= static_cast<int64_t>(replicas)) {
      return bad("outage of replica", outage.replica, "0 to " + std::to_string(replicas - 1));
    }
    if (outage.at_ns < 0) return bad("outage at", outage.at_ns, "0 or later");
    if (outage.length_ns < 1) return bad("outage for", outage.length_ns, "at least 1 ns");
  }
  if (o.autoscaler) return check_autoscaler(*o.autoscaler, static_cast<int64_t>(replicas));
  return {};
}

Fleet::Fleet(std::span<const ReplicaOptions> replicas, const FleetOptions& options)
    : options_(options),
      replicas_(replicas),
      views_(replicas.size()),
      phases_(replicas.size(), Phase::kServing),
      on_since_ns_(replicas.size(), 0),
      on_before_ns_(replicas.size(), 0) {
  for (size_t i = 0; i < replicas.size(); ++i) {
    all_alike_ = all_alike_ && replicas[i].role == Role::kBoth && replicas[i].adapters.empty();
    views_[i].replica = static_cast<int32_t>(i);
    if (options.autoscaler && static_cast<int64_t>(i) >= options.autoscaler->least) {
      phases_[i] = Phase::kOff;
      on_since_ns_[i] = -1;
    }
  }
  all_open_ = !options.autoscaler && !options.in_flight_max;
}

bool Fleet::meets(int32_t replica, const Need& need) const {
  const ReplicaOptions& r = replicas_[static_cast<size_t>(replica)];
  return r.role == need.role &&
         (need.adapter.empty() || r.adapters.empty() ||
          std::find(r.adapters.begin(), r.adapters.end(), need.adapter) != r.adapters.end());
}

bool Fleet::has(const Need& need) const {
  return std::any_of(views_.begin(), views_.end(),
                     [&](const ReplicaView& view) { return meets(view.replica, need); });
}

std::span<const ReplicaView> Fleet::open(const Need& need) {
  if (all_open_ && all_alike_) return views_;
  open_.clear();
  const int64_t most = options_.in_flight_max.value_or(INT64_MAX);
  for (const ReplicaView& view : views_) {
    if (serves(view.replica) && view.in_flight < most && (all_alike_ || meets(view.replica, need)))
      open_.push_back(view);
  }
  return open_;
}

void Fleet::sent(int32_t replica, const SimulatedRequest& request) {
  ReplicaView& v = view(replica);
  ++v.in_flight;
  ++v.sent_since_report;
  v.sent_tokens_since_report += request.request.num_prompt_tokens;
}

bool Fleet::ended(int32_t replica, int64_t now_ns) {
  ReplicaView& v = view(replica);
  --v.in_flight;
  if (v.in_flight > 0 || phase(replica) != Phase::kDraining) return false;
  turn_off(replica, now_ns);
  return true;
}

void Fleet::reported(int32_t replica, const scheduler::State& state, int64_t now_ns) {
  ReplicaView& v = view(replica);
  if (now_ns - v.reported_ns < options_.report_interval_ns && v.reported.total_blocks > 0) return;
  v.reported = state;
  v.reported_ns = now_ns;
  v.sent_since_report = 0;
  v.sent_tokens_since_report = 0;
}

void Fleet::set(int32_t replica, Phase phase) {
  phases_[static_cast<size_t>(replica)] = phase;
  all_open_ = !options_.in_flight_max && std::all_of(phases_.begin(), phases_.end(),
                                                     [](Phase p) { return p == Phase::kServing; });
}

void Fleet::crash(int32_t replica) {
  ReplicaView& v = view(replica);
  v = ReplicaView{.replica = replica};
  set(replica, Phase::kDown);
}

void Fleet::up(int32_t replica) {
  if (phase(replica) == Phase::kStarting || phase(replica) == Phase::kDown) {
    set(replica, Phase::kServing);
  }
}

void Fleet::turn_off(int32_t replica, int64_t now_ns) {
  const auto i = static_cast<size_t>(replica);
  on_before_ns_[i] += now_ns - on_since_ns_[i];
  on_since_ns_[i] = -1;
  set(replica, Phase::kOff);
}

std::vector<int32_t> Fleet::scale(int64_t now_ns, int64_t queued) {
  const AutoscalerOptions& a = *options_.autoscaler;
  int64_t in_flight = queued;
  int64_t on = 0;
  for (const ReplicaView& v : views_) {
    in_flight += v.in_flight;
    const Phase s = phase(v.replica);
    on += s == Phase::kServing || s == Phase::kStarting || s == Phase::kDown;
  }
  const double asked = std::ceil(static_cast<double>(in_flight) / a.target_in_flight);
  const int64_t most = std::ssize(views_);
  wanted_.emplace_back(now_ns,
                       std::clamp(asked < 1e9 ? static_cast<int64_t>(asked) : most, a.least, most));
  std::erase_if(wanted_, [&](const auto& at) { return at.first < now_ns - a.settle_ns; });
  const int64_t wanted =
      std::max_element(wanted_.begin(), wanted_.end(), [](const auto& x, const auto& y) {
        return x.second < y.second;
      })->second;
  std::vector<int32_t> started;
  for (int32_t i = 0; i < most && on < wanted; ++i) {
    if (phase(i) == Phase::kDraining) {
      set(i, Phase::kServing);
      ++on;
    } else if (phase(i) == Phase::kOff) {
      set(i, Phase::kStarting);
      on_since_ns_[static_cast<size_t>(i)] = now_ns;
      started.push_back(i);
      ++on;
    }
  }
  for (auto i = static_cast<int32_t>(most) - 1; i >= 0 && on > wanted; --i) {
    const Phase s = phase(i);
    if (s != Phase::kServing && s != Phase::kStarting) continue;
    --on;
    if (view(i).in_flight == 0) {
      turn_off(i, now_ns);
    } else {
      set(i, Phase::kDraining);
    }
  }
  return started;
}

std::vector<int64_t> Fleet::on_ns(int64_t now_ns) const {
  std::vector<int64_t> on = on_before_ns_;
  for (size_t i = 0; i < on.size(); ++i) {
    if (on_since_ns_[i] >= 0) on[i] += now_ns - on_since_ns_[i];
  }
  return on;
}

}  // namespace touchstone::simulator
