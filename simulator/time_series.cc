#include "simulator/time_series.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/clock.h"
#include "base/text.h"
#include "simulator/frontend.h"

namespace touchstone::simulator {
namespace {

// As many lines as a reader tells apart.
constexpr size_t kMostOfReplicas = 8;

}  // namespace

TimeSeries::TimeSeries(Observer& next, int64_t interval_ns, size_t replicas, Interval interval)
    : ForwardingObserver(next),
      interval_ns_(interval_ns),
      interval_(interval),
      replicas_(replicas) {
  BASE_CHECK(interval_ns >= 1);
}

void TimeSeries::advance(Track& track, int64_t time_ns) {
  const int64_t most = kMostScrapes / std::ssize(replicas_);
  while (std::ssize(track.scrapes) * interval_ns_ < time_ns) {
    if (interval_ == Interval::kAsFits && std::ssize(track.scrapes) >= kMostOfChart) {
      coarsen();
      continue;
    }
    if (std::ssize(track.scrapes) >= most) {
      too_many_ = true;
      return;
    }
    track.scrapes.push_back(track.now);
  }
}

/// Every other scrape goes.
void TimeSeries::coarsen() {
  interval_ns_ *= 2;
  for (Track& track : replicas_) {
    std::vector<Scrape>& scrapes = track.scrapes;
    for (size_t i = 0; 2 * i < scrapes.size(); ++i) scrapes[i] = scrapes[2 * i];
    scrapes.resize((scrapes.size() + 1) / 2);
  }
}

void TimeSeries::on_step(const StepView& step) {
  Track& track = replicas_[static_cast<size_t>(step.replica)];
  advance(track, step.start_ns);
  track.now.running = step.state.running;
  track.now.waiting = step.state.waiting;
  track.now.used_blocks = step.state.total_blocks - step.state.free_blocks;
  track.now.total_blocks = step.state.total_blocks;
  track.now.preemptions += std::ssize(step.plan.preempted);
  advance(track, step.start_ns + step.duration_ns);
  track.now.output_tokens += frontend_streams(step.plan);
  // A server that has nothing left shows it at once; else the next step does.
  const bool idle = std::ssize(step.finished) == step.state.running && step.state.waiting == 0;
  if (idle) track.now.running = track.now.used_blocks = 0;
  ForwardingObserver::on_step(step);
}

void TimeSeries::on_request(int32_t replica, const records::RequestRecord& r) {
  Scrape& now = replicas_[static_cast<size_t>(replica)].now;
  ++now.requests;
  now.prompt_tokens += r.prompt_tokens;
  now.e2e_s += to_seconds(r.finished_ns - r.arrival_ns);
  if (r.first_token_ns) now.ttft_s += to_seconds(*r.first_token_ns - r.arrival_ns);
  ForwardingObserver::on_request(replica, r);
}

Status TimeSeries::finish(int64_t end_ns) {
  // One scrape at the end or after it, which shows everything.
  const int64_t last_ns = end_ns > INT64_MAX - interval_ns_ ? INT64_MAX : end_ns + interval_ns_;
  for (Track& track : replicas_) advance(track, last_ns);
  if (!too_many_) return {};
  return invalid_argument("--scrape-interval: got " + format_duration(interval_ns_) + " for " +
                              format_duration(end_ns) + " of virtual time, expected at most " +
                              format_count(kMostScrapes) + " scrapes",
                          "scrape more rarely");
}

double TimeSeries::seconds(size_t scrape) const {
  return static_cast<double>(scrape) * static_cast<double>(interval_ns_) * 1e-9;
}

std::string TimeSeries::csv() const {
  std::string text =
      "time_s,replica,running,waiting,kv_cache_usage,requests_total,prompt_tokens_total,"
      "generation_tokens_total,preemptions_total,ttft_seconds_sum,e2e_seconds_sum\n";
  const size_t count = replicas_.front().scrapes.size();
  for (size_t i = 0; i < count; ++i) {
    for (size_t r = 0; r < replicas_.size(); ++r) {
      const Scrape& s = replicas_[r].scrapes[i];
      const double usage = s.total_blocks == 0 ? 0
                                               : static_cast<double>(s.used_blocks) /
                                                     static_cast<double>(s.total_blocks);
      text += format_double(seconds(i)) + "," + std::to_string(r) + "," +
              std::to_string(s.running) + "," + std::to_string(s.waiting) + "," +
              format_double(usage) + "," + std::to_string(s.requests) + "," +
              std::to_string(s.prompt_tokens) + "," + std::to_string(s.output_tokens) + "," +
              std::to_string(s.preemptions) + "," + format_double(s.ttft_s) + "," +
              format_double(s.e2e_s) + "\n";
    }
  }
  return text;
}

std::vector<result::Chart> TimeSeries::charts() const {
  result::Series running{.name = "running"};
  result::Series waiting{.name = "waiting"};
  result::Series used{.name = "KV use, fullest replica"};
  result::Series tokens{.name = "output tokens/s"};
  result::Series ttft{.name = "TTFT"};
  result::Series e2e{.name = "e2e"};
  Scrape before;
  for (size_t i = 0; i < replicas_.front().scrapes.size(); ++i) {
    Scrape sum;
    double fullest = 0;
    for (const Track& track : replicas_) {
      const Scrape& s = track.scrapes[i];
      sum.running += s.running;
      sum.waiting += s.waiting;
      sum.requests += s.requests;
      sum.output_tokens += s.output_tokens;
      sum.ttft_s += s.ttft_s;
      sum.e2e_s += s.e2e_s;
      if (s.total_blocks > 0) {
        fullest = std::max(
            fullest, static_cast<double>(s.used_blocks) / static_cast<double>(s.total_blocks));
      }
    }
    const auto put = [x = seconds(i)](result::Series& line, double y) {
      line.x.push_back(x);
      line.y.push_back(y);
    };
    put(running, static_cast<double>(sum.running));
    put(waiting, static_cast<double>(sum.waiting));
    put(used, fullest);
    put(tokens, static_cast<double>(sum.output_tokens - before.output_tokens) * 1e9 /
                    static_cast<double>(interval_ns_));
    if (const int64_t ended = sum.requests - before.requests; ended > 0) {
      put(ttft, (sum.ttft_s - before.ttft_s) / static_cast<double>(ended));
      put(e2e, (sum.e2e_s - before.e2e_s) / static_cast<double>(ended));
    }
    before = sum;
  }
  using Kind = result::Chart::Kind;
  std::vector<result::Chart> charts = {
      {"Requests over time", Kind::kStep, "s", "requests", {running, waiting}},
      {"KV use over time", Kind::kStep, "s", "share of the blocks", {used}},
      {"Output over time", Kind::kStep, "s", "tokens/s", {tokens}},
      {"Latency over time, mean of those that ended", Kind::kLine, "s", "s", {ttft, e2e}}};
  if (replicas_.size() > 1 && replicas_.size() <= kMostOfReplicas) {
    charts.push_back(chart_of_replicas());
  }
  return charts;
}

result::Chart TimeSeries::chart_of_replicas() const {
  result::Chart chart{.title = "Requests of each replica over time",
                      .kind = result::Chart::Kind::kStep,
                      .x_label = "s",
                      .y_label = "requests, running and waiting"};
  for (size_t r = 0; r < replicas_.size(); ++r) {
    result::Series line{.name = "replica " + std::to_string(r)};
    for (size_t i = 0; i < replicas_[r].scrapes.size(); ++i) {
      const Scrape& s = replicas_[r].scrapes[i];
      line.x.push_back(seconds(i));
      line.y.push_back(static_cast<double>(s.running + s.waiting));
    }
    chart.series.push_back(std::move(line));
  }
  return chart;
}

}  // namespace touchstone::simulator
