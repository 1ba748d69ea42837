#include "telemetry/export/batch_exporter.h"

#include <algorithm>
#include <iterator>

#include "base/check.h"
#include "telemetry/export/pause.h"
#include "telemetry/otlp/protobuf.h"

namespace touchstone::telemetry {

BatchExporter::BatchExporter(Resource resource, const BatchOptions& options,
                             std::unique_ptr<Transport> transport, const Clock& clock)
    : resource_(std::move(resource)),
      options_(options),
      transport_(std::move(transport)),
      clock_(clock),
      backoff_(options.first_backoff_ns, options.backoff_max_ns,
               static_cast<uint64_t>(clock.unix_ns())) {
  BASE_CHECK(options_.batch_spans_max > 0 && options_.batch_spans_max <= options_.queue_spans_max,
             options_.batch_spans_max, " of ", options_.queue_spans_max);
  thread_ = std::thread([this] { run(); });
}

BatchExporter::~BatchExporter() { (void)shutdown(0); }

void BatchExporter::submit(const SpanOrigin& origin, Span span) {
  bool full_batch = false;
  {
    const MutexLock lock(mutex_);
    ++counters_.submitted;
    if (stop_by_ns_ || queue_.size() >= options_.queue_spans_max) {
      ++counters_.dropped;
      return;
    }
    queue_.emplace_back(&origin, std::move(span));
    ++counters_.pending;
    full_batch = queue_.size() == options_.batch_spans_max;
  }
  if (full_batch) work_.notify_one();
}

ExporterCounters BatchExporter::counters() const {
  const MutexLock lock(mutex_);
  return counters_;
}

bool BatchExporter::shutdown(int64_t timeout_ns) {
  bool first = false;
  {
    const MutexLock lock(mutex_);
    first = !stop_by_ns_.has_value();
    if (first) {
      stop_by_ns_ = clock_.monotonic_ns() + timeout_ns;
      work_.notify_all();
      stopped_changed_.wait_for(mutex_, timeout_ns, [this]() REQUIRES(mutex_) { return stopped_; });
    } else {
      stopped_changed_.wait(mutex_, [this]() REQUIRES(mutex_) { return stopped_; });
    }
  }
  if (first) {
    // A send that outlives the deadline is given up here; otherwise this finds nothing to cancel.
    transport_->cancel();
    thread_.join();
  }
  const MutexLock lock(mutex_);
  return counters_.failed == 0 && counters_.dropped == 0;
}

void BatchExporter::run() {
  mutex_.lock();
  for (;;) {
    work_.wait_for(mutex_, options_.delay_ns, [this]() REQUIRES(mutex_) {
      return stop_by_ns_.has_value() || queue_.size() >= options_.batch_spans_max;
    });
    while (!queue_.empty()) {
      if (stop_by_ns_ && clock_.monotonic_ns() >= *stop_by_ns_) break;
      const size_t count = std::min(queue_.size(), options_.batch_spans_max);
      const auto end = queue_.begin() + static_cast<std::ptrdiff_t>(count);
      std::vector<Item> items(std::make_move_iterator(queue_.begin()),
                              std::make_move_iterator(end));
      queue_.erase(queue_.begin(), end);
      mutex_.unlock();
      export_batch(encode_otlp_protobuf(make_batch(std::move(items))), static_cast<int64_t>(count));
      mutex_.lock();
    }
    if (stop_by_ns_) break;
  }
  counters_.dropped += static_cast<int64_t>(queue_.size());
  counters_.pending -= static_cast<int64_t>(queue_.size());
  queue_.clear();
  stopped_ = true;
  stopped_changed_.notify_all();
  mutex_.unlock();
}

ScopeSpans& scope_group(const Resource& own, const SpanOrigin& origin, TraceBatch& batch) {
  Resource resource = own;
  resource.attributes.insert(resource.attributes.end(), origin.resource.begin(),
                             origin.resource.end());
  auto group = std::find_if(batch.begin(), batch.end(),
                            [&](const ResourceSpans& each) { return each.resource == resource; });
  if (group == batch.end()) {
    group = batch.insert(batch.end(), {std::move(resource), "", {}});
  }
  return group->scope_spans.emplace_back(ScopeSpans{origin.scope, origin.schema_url, {}});
}

TraceBatch BatchExporter::make_batch(std::vector<Item> items) const {
  TraceBatch batch;
  std::vector<const SpanOrigin*> origins;  // in order of appearance
  for (const auto& [origin, span] : items) {
    if (std::find(origins.begin(), origins.end(), origin) == origins.end()) {
      origins.push_back(origin);
    }
  }
  for (const SpanOrigin* origin : origins) {
    ScopeSpans& group = scope_group(resource_, *origin, batch);
    for (auto& [from, span] : items) {
      if (from == origin) group.spans.push_back(std::move(span));
    }
  }
  return batch;
}

void BatchExporter::export_batch(const std::string& bytes, int64_t spans) {
  const int64_t give_up_ns = clock_.monotonic_ns() + options_.export_timeout_ns;
  for (int64_t retry = 0;; ++retry) {
    const int64_t left_ns = give_up_ns - clock_.monotonic_ns();
    SendResult result = transport_->send(
        Signal::kTraces, bytes,
        std::max<int64_t>(std::min(options_.attempt_timeout_ns, left_ns), kNsPerMs));
    const MutexLock lock(mutex_);
    if (!result.problem.empty()) counters_.last_problem = std::move(result.problem);
    if (result.outcome == SendResult::Outcome::kDelivered) {
      const int64_t rejected = std::clamp<int64_t>(result.rejected, 0, spans);
      counters_.rejected += rejected;
      counters_.exported += spans - rejected;
      counters_.pending -= spans;
      ++counters_.batches;
      return;
    }
    ++counters_.failed_attempts;
    const int64_t wait_ns = std::max(backoff_.ns(retry), result.retry_after_ns.value_or(0));
    const bool in_time = clock_.monotonic_ns() + wait_ns < give_up_ns;
    if (result.outcome == SendResult::Outcome::kFailed || !in_time ||
        !pause_until_stop(wait_ns, stop_by_ns_, clock_, mutex_, work_)) {
      counters_.failed += spans;
      counters_.pending -= spans;
      return;
    }
    ++counters_.retries;
  }
}

}  // namespace touchstone::telemetry
