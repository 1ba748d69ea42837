#include "telemetry/export/metrics_exporter.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/text.h"
#include "telemetry/export/pause.h"

namespace touchstone::telemetry {
namespace {

Status read_milliseconds(const Environment& environment, const char* name, int64_t& out_ns) {
  const auto text = lookup(environment, name);
  if (!text) return {};
  constexpr int64_t kMax = 24 * 3600 * 1000;
  const auto number = parse_int(*text);
  if (!number || *number <= 0 || *number > kMax) {
    return invalid_argument(std::string(name) + ": got " + quote(*text) +
                            ", expected milliseconds from 1 to 86400000");
  }
  out_ns = *number * kNsPerMs;
  return {};
}

}  // namespace

Result<MetricsExportOptions> metrics_export_options(const OtlpOptions& otlp,
                                                    const Environment& environment) {
  MetricsExportOptions options;
  RETURN_IF_ERROR(
      read_milliseconds(environment, "OTEL_METRIC_EXPORT_INTERVAL", options.interval_ns));
  RETURN_IF_ERROR(
      read_milliseconds(environment, "OTEL_METRIC_EXPORT_TIMEOUT", options.export_timeout_ns));
  options.attempt_timeout_ns = otlp.batch.attempt_timeout_ns;
  return options;
}

MetricsExporter::MetricsExporter(MetricsOrigin origin, const MetricsExportOptions& options,
                                 std::unique_ptr<Transport> transport, Read read,
                                 const Clock& clock)
    : origin_(std::move(origin)),
      options_(options),
      transport_(std::move(transport)),
      read_(std::move(read)),
      clock_(clock),
      backoff_(options.first_backoff_ns, options.backoff_max_ns,
               static_cast<uint64_t>(clock.unix_ns())) {
  thread_ = std::thread([this] { run(); });
}

MetricsExporter::~MetricsExporter() { (void)shutdown(0); }

MetricsExportCounters MetricsExporter::counters() const {
  const MutexLock lock(mutex_);
  return counters_;
}

bool MetricsExporter::shutdown(int64_t timeout_ns) {
  {
    const MutexLock lock(mutex_);
    if (!stop_by_ns_) stop_by_ns_ = clock_.monotonic_ns() + timeout_ns;
    changed_.notify_all();
    changed_.wait_for(mutex_, timeout_ns, [this]() REQUIRES(mutex_) { return stopped_; });
  }
  // A push that outlives the deadline is given up here.
  transport_->cancel();
  if (thread_.joinable()) thread_.join();
  const MutexLock lock(mutex_);
  return last_arrived_;
}

void MetricsExporter::run() {
  for (;;) {
    bool last = false;
    {
      const MutexLock lock(mutex_);
      changed_.wait_for(mutex_, options_.interval_ns,
                        [this]() REQUIRES(mutex_) { return stop_by_ns_.has_value(); });
      last = stop_by_ns_.has_value();
    }
    const bool arrived = push();
    if (!last) continue;
    const MutexLock lock(mutex_);
    last_arrived_ = arrived;
    stopped_ = true;
    changed_.notify_all();
    return;
  }
}

bool MetricsExporter::push() {
  const Snapshot snapshot = read_();
  const auto page = parse_prometheus_text("metrics", snapshot.page);
  BASE_CHECK(page.has_value(), "the page is our own");
  const std::string bytes =
      encode_otlp_metrics(*page, snapshot.exemplars, origin_, clock_.unix_ns());
  const int64_t give_up_ns = clock_.monotonic_ns() + options_.export_timeout_ns;
  for (int64_t retry = 0;; ++retry) {
    const int64_t left_ns = give_up_ns - clock_.monotonic_ns();
    SendResult result = transport_->send(
        Signal::kMetrics, bytes,
        std::max<int64_t>(std::min(options_.attempt_timeout_ns, left_ns), kNsPerMs));
    const MutexLock lock(mutex_);
    if (!result.problem.empty()) counters_.last_problem = std::move(result.problem);
    if (result.outcome == SendResult::Outcome::kDelivered) {
      ++counters_.exports;
      counters_.rejected_points += result.rejected;
      return true;
    }
    ++counters_.failed_attempts;
    const int64_t wait_ns = std::max(backoff_.ns(retry), result.retry_after_ns.value_or(0));
    const bool again = result.outcome == SendResult::Outcome::kRetry &&
                       clock_.monotonic_ns() + wait_ns < give_up_ns &&
                       pause_until_stop(wait_ns, stop_by_ns_, clock_, mutex_, changed_);
    if (again) continue;
    ++counters_.failed;
    return false;
  }
}

}  // namespace touchstone::telemetry
