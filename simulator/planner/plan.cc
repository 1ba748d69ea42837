#include "simulator/planner/plan.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/parallel.h"
#include "base/text.h"
#include "simulator/planner/search.h"
#include "simulator/planner/what_if.h"

namespace touchstone::simulator {
namespace {

// Rates are searched to 2 %: nearer is not known of any model of step times.
constexpr double kRatePrecision = 0.02;
constexpr double kLowestRate = 1e-4;   // times the trace's
constexpr double kHighestRate = 1024;  // times the trace's
// How far beyond the highest rate the end of KV is looked for.
constexpr double kKvReach = 4;
// A flag must let a replica take so much more to be worth a change.
constexpr double kWorthwhile = 1.05;
// Requests with which a replica without load is looked at.
constexpr int64_t kAloneRequests = 200;

/// Plans for one kind of hardware.
class Planner final {
 public:
  Planner(const Trace& trace, const Hardware& hardware, const PlanOptions& options)
      : trace_(trace), options_(options), model_(*hardware.model) {
    plan_.row = hardware.row;
    plan_.config = hardware.config;
  }

  Result<HardwarePlan> run() {
    RETURN_IF_ERROR(check_possible());
    if (!plan_.impossible.empty()) return plan_;
    RETURN_IF_ERROR(find_rate());
    if (options_.tune) RETURN_IF_ERROR(tune());
    RETURN_IF_ERROR(find_kv_end());
    RETURN_IF_ERROR(find_fleet());
    if (plan_.impossible.empty()) RETURN_IF_ERROR(find_blocks());
    return plan_;
  }

 private:
  Trial trial(int64_t replicas, double rate) const {
    return {.config = plan_.config,
            .model = &model_,
            .router = options_.router,
            .replicas = replicas,
            .rate = rate};
  }

  /// Whether any number of replicas could do: what fails without load fails under any.
  Status check_possible() {
    if (trace_.longest_prompt() >= plan_.config.max_model_len) {
      plan_.impossible = "a prompt has " + format_count(trace_.longest_prompt()) +
                         " tokens, max-model-len is " + format_count(plan_.config.max_model_len);
      return {};
    }
    Trial alone = trial(1, 1);
    alone.one_at_a_time = true;
    alone.requests = kAloneRequests;
    Slos limits = options_.slos;
    const auto result = run_trial(trace_, alone, limits);
    if (!result) return result.error();
    const auto worst = result->attainment.worst(limits);
    if (!worst) return {};
    if (*worst == limits.limits.size()) {
      plan_.impossible = "alone on a replica, " +
                         format_fixed(result->attainment.goodput * 100, 1) +
                         " % of the requests keep all limits";
      return {};
    }
    plan_.impossible = name_of(limits.limits[*worst]) + " is " +
                       seconds_text(result->attainment.rows[*worst].value_s) +
                       " for requests alone on a replica, the limit is " +
                       seconds_text(limits.limits[*worst].limit_s);
    return {};
  }

  /// The highest rate at which one replica with this configuration keeps the limits, as times the
  /// trace's rate.
  Result<RateFound> capacity(const scheduler::Config& config, double guess) const {
    return highest_rate(kLowestRate, guess, kHighestRate, kRatePrecision,
                        [&](double rate) -> Result<bool> {
                          Trial one = trial(1, rate);
                          one.config = config;
                          one.stop_when_broken = true;
                          const auto result = run_trial(trace_, one, options_.slos);
                          if (!result) return result.error();
                          return result->kept();
                        });
  }

  Status find_rate() {
    const auto found = capacity(plan_.config, 1);
    if (!found) return found.error();
    capacity_ = found->most.value_or(0);
    keep_rate(*found);
    return {};
  }

  void keep_rate(const RateFound& found) {
    plan_.rate_per_replica.reset();
    plan_.rate_that_fails.reset();
    if (!found.most) return;
    plan_.rate_per_replica = *found.most * trace_.rate_per_s();
    if (found.fails) plan_.rate_that_fails = *found.fails * trace_.rate_per_s();
  }

  /// Tries one flag after the other at several times its value; a change that lets a replica take
  /// more stays.
  Status tune() {
    const auto seqs = &scheduler::Config::max_num_seqs;
    const auto tokens = &scheduler::Config::max_num_batched_tokens;
    RETURN_IF_ERROR(tune_flag(tokens, {0.25, 0.5, 2, 4}));
    return tune_flag(seqs, {0.25, 0.5, 2, 4});
  }

  Status tune_flag(int32_t scheduler::Config::*flag, const std::vector<double>& factors) {
    std::vector<scheduler::Config> candidates;
    for (const double factor : factors) {
      scheduler::Config config = plan_.config;
      config.*flag = static_cast<int32_t>(std::llround((plan_.config.*flag) * factor));
      if (config.*flag >= 1 && scheduler::validate(config)) candidates.push_back(config);
    }
    std::vector<std::optional<RateFound>> found(candidates.size());
    std::vector<Status> errors(candidates.size());
    run_parallel(candidates.size(), options_.threads, [&](size_t i) {
      auto rate = capacity(candidates[i], std::max(capacity_, kLowestRate));
      if (rate) {
        found[i] = *rate;
      } else {
        errors[i] = rate.error();
      }
    });
    for (size_t i = 0; i < candidates.size(); ++i) {
      if (!errors[i]) return errors[i];
      const double rate = found[i]->most.value_or(0);
      if (rate < capacity_ * kWorthwhile || rate == 0) continue;
      capacity_ = rate;
      plan_.config = candidates[i];
      keep_rate(*found[i]);
    }
    return {};
  }

  /// The rate of one replica at which requests begin to wait for blocks, or are preempted.
  Status find_kv_end() {
    if (capacity_ == 0) return {};
    const double reach = std::min(capacity_ * kKvReach, kHighestRate);
    const auto found =
        highest_rate(kLowestRate, std::max(capacity_, kLowestRate), std::min(reach, kHighestRate),
                     kRatePrecision, [&](double rate) -> Result<bool> {
                       const auto result = run_trial(trace_, trial(1, rate), options_.slos);
                       if (!result) return result.error();
                       return result->preemptions == 0 && result->waited_for_blocks == 0;
                     });
    if (!found) return found.error();
    if (found->fails) plan_.kv_full_at = *found->fails * trace_.rate_per_s();
    plan_.kv_looked_up_to = reach * trace_.rate_per_s();
    return {};
  }

  /// All replications keep the limits; `results` gets theirs up to the first that does not.
  Result<bool> keeps(const Trial& of, std::vector<TrialResult>& results) const {
    results.clear();
    Trial first = of;
    auto result = run_trial(trace_, first, options_.slos);
    if (!result) return std::move(result).error();
    results.push_back(*result);
    if (!result->attainment.all_kept()) return false;
    const auto others = static_cast<size_t>(options_.replications - 1);
    std::vector<std::optional<TrialResult>> more(others);
    std::vector<Status> errors(others);
    run_parallel(others, options_.threads, [&](size_t i) {
      Trial next = of;
      next.replication = i + 1;
      const auto one = run_trial(trace_, next, options_.slos);
      if (one) {
        more[i] = *one;
      } else {
        errors[i] = one.error();
      }
    });
    bool all = true;
    for (size_t i = 0; i < others; ++i) {
      if (!errors[i]) return errors[i].error();
      all = all && more[i]->attainment.all_kept();
      results.push_back(*more[i]);
    }
    return all;
  }

  Status find_fleet() {
    const double wanted = options_.rate / std::max(capacity_, kLowestRate);
    const int64_t guess = std::clamp<int64_t>(
        static_cast<int64_t>(std::ceil(std::min(wanted, 1e9))), 1, plan_.row.most);
    std::vector<TrialResult> results;
    const auto found = least_count(guess, plan_.row.most, [&](int64_t replicas) -> Result<bool> {
      auto kept = keeps(trial(replicas, options_.rate), results);
      if (!kept) return kept;
      if (*kept) plan_.results = results;
      if (!*kept) plan_.fails_result = results.back();
      return kept;
    });
    if (!found) return found.error();
    if (!found->least) {
      const TrialResult& last = *plan_.fails_result;
      plan_.impossible =
          format_count(plan_.row.most) +
          " replicas, the most there are, are too few: " + broken_limit(options_.slos, last);
      return {};
    }
    plan_.replicas = *found->least;
    plan_.fails = found->fails;
    // The search's last question need not have been about either of the two.
    auto kept = keeps(trial(plan_.replicas, options_.rate), plan_.results);
    if (!kept) return std::move(kept).error();
    plan_.fails_result.reset();
    if (plan_.fails) {
      auto failed = keeps(trial(*plan_.fails, options_.rate), results);
      if (!failed) return std::move(failed).error();
      plan_.fails_result = results.back();
      for (const TrialResult& result : results) {
        if (!result.attainment.all_kept()) plan_.fails_result = result;
      }
    }
    return {};
  }

  /// The fewest KV blocks with which the fleet still keeps the limits.
  Status find_blocks() {
    const auto fits = [this](int64_t blocks) {
      scheduler::Config config = plan_.config;
      config.num_blocks = blocks;
      return scheduler::validate(config).has_value();
    };
    int64_t peak = 0;
    for (const TrialResult& result : plan_.results) peak = std::max(peak, result.peak_used_blocks);
    // To a 64th of what there is: nearer is not worth the simulations.
    const int64_t unit = std::max<int64_t>(1, plan_.config.num_blocks / 64);
    const int64_t most = plan_.config.num_blocks / unit;
    const auto found = least_count(std::clamp<int64_t>(peak / unit + 1, 1, most), most,
                                   [&](int64_t units) -> Result<bool> {
                                     if (!fits(units * unit)) return false;
                                     Trial of = trial(plan_.replicas, options_.rate);
                                     of.config.num_blocks = units * unit;
                                     std::vector<TrialResult> results;
                                     return keeps(of, results);
                                   });
    if (!found) return found.error();
    plan_.blocks_needed = found->least ? *found->least * unit : plan_.config.num_blocks;
    return {};
  }

  const Trace& trace_;
  const PlanOptions& options_;
  const StepTimeModel& model_;
  HardwarePlan plan_;
  double capacity_ = 0;  // of one replica, times the trace's rate
};

Status check(const Trace& trace, const PlanOptions& options) {
  if (options.slos.limits.empty()) {
    return invalid_argument("--slo: got none, expected one limit or more",
                            "for example --slo ttft:p95:1s --slo tpot:p95:50ms");
  }
  if (options.slos.goodput && !(*options.slos.goodput > 0 && *options.slos.goodput <= 1)) {
    return invalid_argument("--goodput: got " + format_double(*options.slos.goodput) +
                            ", expected a share of more than 0, at most 1");
  }
  if (!(options.rate > 0) || !(options.rate <= 1e6)) {
    return invalid_argument("--rate-factor: got " + format_double(options.rate) +
                            ", expected more than 0, at most 1000000");
  }
  if (options.replications < 1 || options.replications > 1000) {
    return invalid_argument("--replications: got " + std::to_string(options.replications) +
                            ", expected 1 to 1000");
  }
  if (!(trace.rate_per_s() > 0)) {
    return invalid_argument("trace: got requests that all arrive at once, expected a rate",
                            "a fleet is planned for requests over time");
  }
  return {};
}

}  // namespace

Result<Plan> make_plan(const Trace& trace, const std::vector<HardwareRow>& rows,
                       const PlanOptions& options) {
  RETURN_IF_ERROR(check(trace, options));
  Plan plan;
  for (const HardwareRow& row : rows) {
    const auto hardware = make_hardware(row, {});
    if (!hardware) return hardware.error();
    auto one = Planner(trace, *hardware, options).run();
    if (!one) return std::move(one).error().with_context(row.name);
    plan.rows.push_back(std::move(*one));
  }
  const auto better = [&plan](auto key, std::optional<size_t>& best) {
    for (size_t i = 0; i < plan.rows.size(); ++i) {
      if (!plan.rows[i].impossible.empty()) continue;
      if (!best || key(plan.rows[i]) < key(plan.rows[*best])) best = i;
    }
  };
  better([](const HardwarePlan& p) { return std::pair(p.cost_per_hour(), p.replicas); },
         plan.cheapest);
  better([](const HardwarePlan& p) { return std::pair(p.replicas, p.cost_per_hour()); },
         plan.smallest);
  return plan;
}

}  // namespace touchstone::simulator
