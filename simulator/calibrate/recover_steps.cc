#include "simulator/calibrate/recover_steps.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "base/text.h"
#include "reference_engine/scheduler/scheduler.h"
#include "simulator/sources.h"

namespace touchstone::simulator {
namespace {

using scheduler::RequestId;

/// Arrivals this near to a step's start, as a share of the usual step, may be before or after it.
constexpr double kUnsure = 0.3;
/// Tokens of one step come within this time, on any machine; steps are no nearer than the first.
constexpr double kNearestNs = 50e3;
constexpr double kFarthestNs = 100e6;
constexpr int kThresholds = 24;
constexpr size_t kNever = SIZE_MAX;

struct Token {
  int64_t time_ns;
  RequestId id;
};

/// Tokens that came together.
struct Cluster {
  int64_t time_ns;             ///< of the first
  std::vector<RequestId> ids;  ///< sorted
};

std::vector<Token> tokens_of(const MeasuredLoad& load) {
  std::vector<Token> tokens;
  for (size_t i = 0; i < load.requests.size(); ++i) {
    for (const int64_t time_ns : load.requests[i].token_ns) tokens.push_back({time_ns, i + 1});
  }
  std::sort(tokens.begin(), tokens.end(), [](const Token& a, const Token& b) {
    return std::pair(a.time_ns, a.id) < std::pair(b.time_ns, b.id);
  });
  return tokens;
}

/// A request has one token in a step.
std::vector<Cluster> clusters_of(const std::vector<Token>& tokens, int64_t threshold_ns) {
  std::vector<Cluster> clusters;
  std::set<RequestId> here;
  int64_t last_ns = 0;
  for (const Token& token : tokens) {
    if (clusters.empty() || token.time_ns - last_ns > threshold_ns || here.contains(token.id)) {
      clusters.push_back({token.time_ns, {}});
      here.clear();
    }
    clusters.back().ids.push_back(token.id);
    here.insert(token.id);
    last_ns = token.time_ns;
  }
  for (Cluster& cluster : clusters) std::sort(cluster.ids.begin(), cluster.ids.end());
  return clusters;
}

/// Drives the scheduler along the clusters.
class Driver final {
 public:
  Driver(const MeasuredLoad& load, const std::vector<scheduler::NewRequest>& requests,
         const std::vector<Cluster>& clusters)
      : load_(load),
        requests_(requests),
        clusters_(clusters),
        first_(requests.size() + 1, kNever),
        scheduler_(load.config) {
    for (size_t k = 0; k < clusters.size(); ++k) {
      for (const RequestId id : clusters[k].ids) first_[id] = std::min(first_[id], k);
    }
    std::vector<double> gaps;
    for (size_t k = 1; k < clusters.size(); ++k) {
      gaps.push_back(static_cast<double>(clusters[k].time_ns - clusters[k - 1].time_ns));
    }
    if (gaps.empty()) return;
    std::nth_element(gaps.begin(), gaps.begin() + std::ssize(gaps) / 2, gaps.end());
    unsure_ns_ = static_cast<int64_t>(kUnsure * gaps[gaps.size() / 2]);
  }

  RecoveredSteps run() {
    RecoveredSteps found{.output_steps = std::ssize(clusters_)};
    while (cluster_ < clusters_.size()) {
      while (can_plan() && plan()) {
      }
      if (flights_.empty() && !wait_for_arrival()) break;  // nothing is left that could run
      if (!flights_.empty()) complete(found);
    }
    return found;
  }

 private:
  struct Flight {
    const scheduler::StepPlan* plan;
    StepFeatures features;
    std::vector<RequestId> samples;
    std::optional<int64_t> start_ns;  ///< as far as it was seen
  };

  bool can_plan() const {
    const size_t most = load_.config.async_scheduling ? 2 : 1;
    return flights_.size() < most;
  }

  /// Whether a request is there before the step that gives cluster `target`. When the clock cannot
  /// say, its first token does.
  bool is_there(size_t index, size_t target) const {
    const int64_t arrival_ns = load_.requests[index].request.arrival_ns;
    if (arrival_ns <= now_ns_ - unsure_ns_) return true;
    if (arrival_ns > now_ns_ + unsure_ns_ || first_[index + 1] == kNever) {
      return arrival_ns <= now_ns_;
    }
    const auto chunks = static_cast<size_t>((requests_[index].num_prompt_tokens - 1) /
                                            load_.config.max_num_batched_tokens);
    return first_[index + 1] <= target + chunks;
  }

  void feed(size_t target) {
    while (next_ < requests_.size() && is_there(next_, target)) {
      // What could not be added was refused by the server too, and has no token.
      (void)scheduler_.add(requests_[next_]);
      if (load_.requests[next_].abort_ns)
        aborts_.emplace(*load_.requests[next_].abort_ns, next_ + 1);
      ++next_;
    }
    while (!aborts_.empty() && aborts_.begin()->first <= now_ns_) {
      scheduler_.abort(aborts_.begin()->second);
      aborts_.erase(aborts_.begin());
    }
  }

  bool plan() {
    size_t target = cluster_;
    for (const Flight& flight : flights_) target += flight.samples.empty() ? 0 : 1;
    feed(target);
    const bool idle = flights_.empty() && after_idle_;
    const scheduler::StepPlan& plan = scheduler_.schedule();
    if (plan.scheduled.empty()) return false;
    Flight flight{.plan = &plan, .features = features_of(plan)};
    for (const scheduler::ScheduledRequest& r : plan.scheduled) {
      if (r.samples_token) flight.samples.push_back(r.id);
    }
    std::sort(flight.samples.begin(), flight.samples.end());
    if (!idle && (flights_.empty() || !flights_.back().samples.empty())) flight.start_ns = now_ns_;
    after_idle_ = false;
    flights_.push_back(std::move(flight));
    return true;
  }

  bool wait_for_arrival() {
    if (next_ == requests_.size()) return false;
    now_ns_ = std::max(now_ns_, load_.requests[next_].request.arrival_ns);
    after_idle_ = true;
    // Its first token may already be due, however the clocks stand to each other.
    if (!is_there(next_, cluster_)) now_ns_ += 2 * unsure_ns_ + 1;
    return true;
  }

  void complete(RecoveredSteps& found) {
    const Flight flight = std::move(flights_.front());
    flights_.pop_front();
    if (!flight.samples.empty()) {
      const Cluster& cluster = clusters_[cluster_++];
      const bool match = cluster.ids == flight.samples;
      found.matched += match ? 1 : 0;
      // The one before ended where this one began, and its end was seen.
      if (match && flight.start_ns && last_seen_ && cluster.time_ns > last_end_ns_) {
        found.steps.push_back({flight.features, cluster.time_ns - last_end_ns_});
      }
      last_seen_ = match;
      now_ns_ = last_end_ns_ = cluster.time_ns;
    } else {
      last_seen_ = false;  // nobody saw its end
    }
    std::vector<scheduler::SampledToken> sampled;
    for (const scheduler::ScheduledRequest& r : flight.plan->scheduled) {
      if (r.samples_token) sampled.push_back({r.id, 0, false});
    }
    scheduler_.complete(sampled);
    if (!scheduler_.has_requests()) last_seen_ = false;  // idle from here on
  }

  const MeasuredLoad& load_;
  const std::vector<scheduler::NewRequest>& requests_;
  const std::vector<Cluster>& clusters_;
  std::vector<size_t> first_;  // cluster of the first token, by id
  scheduler::Scheduler scheduler_;
  std::multimap<int64_t, RequestId> aborts_;
  std::deque<Flight> flights_;
  int64_t unsure_ns_ = 0;
  int64_t now_ns_ = 0;
  size_t next_ = 0;     // that arrives
  size_t cluster_ = 0;  // that is expected
  int64_t last_end_ns_ = 0;
  bool last_seen_ = false;  // the end of the step before
  bool after_idle_ = true;
};

Result<std::vector<scheduler::NewRequest>> requests_of(const MeasuredLoad& load) {
  std::vector<scheduler::NewRequest> requests;
  for (size_t i = 0; i < load.requests.size(); ++i) {
    auto made = simulated_requests(load.requests[i].request, i + 1, load.config);
    if (!made) return std::move(made).error();
    if (made->empty()) {
      return invalid_argument("request " + load.requests[i].request.name +
                              ": got one that no server answers, expected it left out");
    }
    requests.push_back(std::move(made->front().request));
  }
  return requests;
}

}  // namespace

Result<RecoveredSteps> recover_steps(const MeasuredLoad& load) {
  const std::vector<Token> tokens = tokens_of(load);
  if (tokens.empty()) {
    return invalid_argument(load.path + ": got no times of tokens, expected chunk_offsets_ns",
                            "`touchstone load --record` keeps them of streamed answers");
  }
  const auto requests = requests_of(load);
  if (!requests) return requests.error();
  std::optional<RecoveredSteps> best;
  size_t clusters_before = 0;
  for (int i = 0; i < kThresholds; ++i) {
    const double share = static_cast<double>(i) / (kThresholds - 1);
    const auto threshold_ns =
        static_cast<int64_t>(kNearestNs * std::pow(kFarthestNs / kNearestNs, share));
    const std::vector<Cluster> clusters = clusters_of(tokens, threshold_ns);
    if (clusters.size() == clusters_before) continue;
    clusters_before = clusters.size();
    RecoveredSteps found = Driver(load, *requests, clusters).run();
    found.threshold_ns = threshold_ns;
    if (!best || found.parity() > best->parity()) best = std::move(found);
  }
  return std::move(*best);
}

}  // namespace touchstone::simulator
