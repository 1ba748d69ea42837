// Servers of queueing theory made of simulated ones: a request of one output token is one step, and
// a step takes as long as its prompt has tokens, which is any distribution of service times. Means
// over customers have regenerative intervals (a cycle begins with a customer who finds the system
// empty). Shared by the suite and by what takes long.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>
#include <vector>

#include "base/random.h"
#include "tests/simulator/support.h"

namespace touchstone::simulator {

inline constexpr double kServiceNs = 2'000'000;  // mean; a prompt token is a microsecond
inline constexpr double kZ = 3.29;               // of an interval that holds 999 of 1000 times

using DrawService = std::function<int64_t(RandomStream&)>;

inline int64_t exponential(RandomStream& random) {
  return std::max<int64_t>(1, std::llround(random.exponential(kServiceNs / 1000)));
}
inline int64_t constant(RandomStream&) { return std::llround(kServiceNs / 1000); }

/// Poisson arrivals of requests with the given service times, in microseconds.
class PoissonSource final : public RequestSource {
 public:
  PoissonSource(int64_t requests, double gap_ns, DrawService draw, uint64_t seed)
      : left_(requests),
        gap_ns_(gap_ns),
        draw_(std::move(draw)),
        gaps_(seed, "gaps"),
        services_(seed, "services") {}

  Result<bool> next(SimulatedRequest& request) override {
    if (left_-- == 0) return false;
    now_ns_ += std::llround(gaps_.exponential(gap_ns_));
    request = SimulatedRequest();
    request.request = {.id = ++id_,
                       .arrival_ns = now_ns_,
                       .num_prompt_tokens = static_cast<int32_t>(draw_(services_)),
                       .max_tokens = 1};
    return true;
  }

 private:
  int64_t left_;
  const double gap_ns_;
  const DrawService draw_;
  RandomStream gaps_;
  RandomStream services_;
  int64_t now_ns_ = 0;
  uint64_t id_ = 0;
};

/// Waits and times in the system, in order of arrival.
class Waits final : public Observer {
 public:
  explicit Waits(int64_t requests) : customers(static_cast<size_t>(requests)) {}
  void on_step(const StepView&) override {}
  void on_request(int32_t, const records::RequestRecord& r) override {
    customers[r.id - 1] = {r.arrival_ns, *r.first_scheduled_ns - r.arrival_ns, r.finished_ns};
  }
  struct Customer {
    int64_t arrival_ns = 0;
    int64_t wait_ns = 0;
    int64_t end_ns = 0;
  };
  std::vector<Customer> customers;
};

struct Estimate {
  double mean = 0;
  double half = 0;  ///< of the interval
};

/// The mean wait by the regenerative method (ratio of sums over cycles).
inline Estimate mean_wait(const std::vector<Waits::Customer>& customers) {
  std::vector<std::pair<double, double>> cycles;  // waits, customers
  int64_t latest_end_ns = 0;
  for (const Waits::Customer& c : customers) {
    if (cycles.empty() || c.arrival_ns >= latest_end_ns) cycles.emplace_back(0, 0);
    cycles.back().first += static_cast<double>(c.wait_ns);
    cycles.back().second += 1;
    latest_end_ns = std::max(latest_end_ns, c.end_ns);
  }
  double waits = 0;
  double count = 0;
  for (const auto& [w, n] : cycles) waits += w, count += n;
  const double ratio = waits / count;
  double squares = 0;
  for (const auto& [w, n] : cycles) squares += (w - ratio * n) * (w - ratio * n);
  return {ratio, kZ * std::sqrt(squares) / count};
}

struct System {
  size_t servers = 1;
  const char* router = "round-robin";
  bool central_queue = false;
  double load = 0.5;  ///< of each server
  DrawService service = &exponential;
  int64_t customers = 400'000;
};

/// `slower`: how much longer a step takes than the theory is told.
inline Estimate simulate_wait(const System& system, double slower = 1) {
  scheduler::Config config{.num_blocks = 600,
                           .block_size = 128,
                           .max_num_seqs = 1,
                           .max_num_batched_tokens = 65'536,
                           .max_model_len = 65'536,
                           .enable_prefix_caching = false};
  const auto model = make_linear_step_time({0, std::llround(1000 * slower), 1000});
  const std::vector<ReplicaOptions> replicas(system.servers, {config, *model});
  const double gap_ns = kServiceNs / (system.load * static_cast<double>(system.servers));
  PoissonSource source(system.customers, gap_ns, system.service, 17);
  FleetOptions fleet;
  if (system.central_queue) fleet.in_flight_max = 1;
  Waits waits(system.customers);
  const auto router = make_router(system.router, {.seed = 5});
  EXPECT_TRUE(run_simulation(replicas, **router, source, waits, 0, fleet).has_value());
  return mean_wait(waits.customers);
}

/// That the theory's wait is inside of the interval, and outside of a server's that is 2 % slower.
inline void expect_wait(const System& system, double theory_in_services) {
  const double theory_ns = theory_in_services * kServiceNs;
  const Estimate right = simulate_wait(system);
  EXPECT_NEAR(right.mean, theory_ns, right.half) << "load " << system.load;
  const Estimate slow = simulate_wait(system, 1.02);
  EXPECT_GT(slow.mean - slow.half, theory_ns) << "2 % slower must be seen; load " << system.load;
}

/// The chance to wait with c servers and one queue.
inline double erlang_c(int servers, double load) {
  const double offered = load * servers;
  double term = 1;
  double sum = 0;
  for (int k = 0; k < servers; ++k) {
    sum += term;
    term *= offered / (k + 1);
  }
  const double all_busy = term / (1 - load);
  return all_busy / (sum + all_busy);
}

}  // namespace touchstone::simulator
