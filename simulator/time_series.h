// A simulation as a scraper would have seen it: the gauges and counters of every replica at equal
// intervals of virtual time, as CSV and as charts. Thread-compatible.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "result/result_model.h"
#include "simulator/cluster/forwarding_observer.h"
#include "simulator/cluster/replica.h"

namespace touchstone::simulator {

/// What one scrape of one replica shows; counters count from the start.
struct Scrape {
  int64_t running = 0;
  int64_t waiting = 0;
  int64_t used_blocks = 0;
  int64_t total_blocks = 0;
  int64_t prompt_tokens = 0;  ///< of requests that are over
  int64_t output_tokens = 0;
  int64_t requests = 0;  ///< that are over
  int64_t preemptions = 0;
  double ttft_s = 0;  ///< sum over requests that are over
  double e2e_s = 0;   ///< sum over requests that are over
};

/// Passes everything on to `next`, which outlives it.
class TimeSeries final : public ForwardingObserver {
 public:
  static constexpr int64_t kMostScrapes = 1'000'000;  ///< of all replicas together

  /// kAsFits: doubled again and again, so that a chart has kMostOfChart points at most.
  enum class Interval { kAsGiven, kAsFits };
  static constexpr int64_t kMostOfChart = 600;

  /// REQUIRES: interval_ns >= 1.
  TimeSeries(Observer& next, int64_t interval_ns, size_t replicas,
             Interval interval = Interval::kAsGiven);
  void on_step(const StepView& step) override;
  void on_request(int32_t replica, const records::RequestRecord& request) override;

  /// Scrapes until `end_ns`. ERRORS: kInvalidArgument when there were more than kMostScrapes.
  Status finish(int64_t end_ns);
  /// Of a replica, one each interval from 0 on. REQUIRES: finish().
  const std::vector<Scrape>& scrapes(int32_t replica) const {
    return replicas_[static_cast<size_t>(replica)].scrapes;
  }
  /// time_s,replica,running,waiting,… REQUIRES: finish().
  std::string csv() const;
  /// Requests, KV use and latencies over time, all replicas together. REQUIRES: finish().
  std::vector<result::Chart> charts() const;

 private:
  struct Track {
    Scrape now;
    std::vector<Scrape> scrapes;
  };
  /// What the gauges were until `time_ns`.
  void advance(Track& track, int64_t time_ns);
  void coarsen();
  double seconds(size_t scrape) const;
  result::Chart chart_of_replicas() const;

  int64_t interval_ns_;
  const Interval interval_;
  std::vector<Track> replicas_;
  bool too_many_ = false;
};

}  // namespace touchstone::simulator
