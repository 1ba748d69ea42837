#include "telemetry/export/spool_exporter.h"

#include <algorithm>
#include <utility>

#include "telemetry/otlp/protobuf.h"
#include "telemetry/redelivery.h"

namespace touchstone::telemetry {
namespace {

constexpr size_t kBatchBytesMax = size_t{3} << 20;  // below gRPC's usual limit of a message

/// The request with the mark; as it is when another version wrote what this one cannot read.
std::string marked(const std::string& request) {
  auto batch = decode_otlp_protobuf(request);
  if (!batch) return request;
  mark_redelivery(*batch);
  return encode_otlp_protobuf(*batch);
}

}  // namespace

SpoolExporter::SpoolExporter(Resource resource, const BatchOptions& options,
                             std::unique_ptr<SpanSpool> spool, std::unique_ptr<Transport> transport,
                             const Clock& clock)
    : resource_(std::move(resource)),
      options_(options),
      spool_(std::move(spool)),
      transport_(std::move(transport)),
      clock_(clock),
      backoff_(options.first_backoff_ns, options.backoff_max_ns,
               static_cast<uint64_t>(clock.unix_ns())) {
  of_former_process_ = spool_->unread_spans();
  counters_.submitted = of_former_process_;
  counters_.pending = counters_.submitted;
  thread_ = std::thread([this] { run(); });
}

SpoolExporter::~SpoolExporter() { (void)shutdown(0); }

void SpoolExporter::submit(const SpanOrigin& origin, Span span) {
  std::vector<Span> spans;
  spans.push_back(std::move(span));
  submit_all(origin, spans);
}

void SpoolExporter::submit_all(const SpanOrigin& origin, std::vector<Span>& spans) {
  const auto count = static_cast<int64_t>(spans.size());
  TraceBatch batch;
  scope_group(resource_, origin, batch).spans = std::move(spans);
  spans.clear();
  const auto taken = spool_->append(encode_otlp_protobuf(batch), count);
  const MutexLock lock(mutex_);
  counters_.submitted += count;
  if (taken && *taken) {
    counters_.pending += count;
  } else {
    counters_.dropped += count;
    counters_.last_problem = taken ? "the spool is full" : taken.error().message;
  }
  if (counters_.pending >= static_cast<int64_t>(options_.batch_spans_max)) changed_.notify_all();
}

ExporterCounters SpoolExporter::counters() const {
  const MutexLock lock(mutex_);
  ExporterCounters counters = counters_;
  counters.spool_bytes = spool_->bytes();
  return counters;
}

bool SpoolExporter::shutdown(int64_t timeout_ns) {
  {
    const MutexLock lock(mutex_);
    if (!stop_by_ns_) stop_by_ns_ = clock_.monotonic_ns() + timeout_ns;
    changed_.notify_all();
    changed_.wait_for(mutex_, timeout_ns, [this]() REQUIRES(mutex_) { return stopped_; });
  }
  transport_->cancel();
  if (thread_.joinable()) thread_.join();
  (void)spool_->sync();
  const MutexLock lock(mutex_);
  return counters_.failed == 0 && counters_.dropped == 0;
}

bool SpoolExporter::is_over() const { return stop_by_ns_ && clock_.monotonic_ns() >= *stop_by_ns_; }

void SpoolExporter::run() {
  bool unreadable = false;  // then only time helps
  for (;;) {
    bool last = false;
    {
      const MutexLock lock(mutex_);
      const auto enough = static_cast<int64_t>(options_.batch_spans_max);
      changed_.wait_for(mutex_, options_.delay_ns, [&]() REQUIRES(mutex_) {
        return stop_by_ns_ || (counters_.pending >= enough && !unreadable);
      });
      last = stop_by_ns_.has_value();
    }
    if (const Status synced = spool_->sync(); !synced) note_problem(synced.error().message);
    bool delivered = true;
    while (delivered) {
      const auto batch = next_batch();
      if (!batch) break;
      delivered = deliver(*batch);
    }
    unreadable = delivered && counters().pending > 0 && spool_->unread_spans() > 0;
    if (last || !delivered) break;
  }
  const MutexLock lock(mutex_);
  stopped_ = true;
  changed_.notify_all();
}

/// Requests one after the other are one request: protobuf appends the lists of the second.
std::optional<SpanSpool::Entry> SpoolExporter::next_batch() {
  std::optional<SpanSpool::Entry> batch;
  while (!batch || (batch->spans < static_cast<int64_t>(options_.batch_spans_max) &&
                    batch->request.size() < kBatchBytesMax)) {
    auto entry = spool_->next();
    if (!entry) note_problem(entry.error().message);
    if (!entry || !*entry) break;
    if (of_former_process_ > 0) {
      of_former_process_ -= (*entry)->spans;
      (*entry)->request = marked((*entry)->request);
    }
    if (!batch) {
      batch = std::move(**entry);
      continue;
    }
    batch->request += (*entry)->request;
    batch->spans += (*entry)->spans;
    batch->end = (*entry)->end;
  }
  return batch;
}

bool SpoolExporter::deliver(const SpanSpool::Entry& batch) {
  std::string again;
  for (int64_t retry = 0;; ++retry) {
    if (retry == 1) again = marked(batch.request);
    SendResult result = transport_->send(Signal::kTraces, retry == 0 ? batch.request : again,
                                         options_.attempt_timeout_ns);
    if (!result.problem.empty()) note_problem(result.problem);
    if (result.outcome != SendResult::Outcome::kRetry) {
      if (const Status kept = spool_->commit(batch.end); !kept) note_problem(kept.error().message);
      const MutexLock lock(mutex_);
      counters_.pending -= batch.spans;
      if (result.outcome == SendResult::Outcome::kFailed) {
        ++counters_.failed_attempts;
        counters_.failed += batch.spans;
        return true;
      }
      const int64_t rejected = std::clamp<int64_t>(result.rejected, 0, batch.spans);
      counters_.rejected += rejected;
      counters_.exported += batch.spans - rejected;
      ++counters_.batches;
      return true;
    }
    const MutexLock lock(mutex_);
    ++counters_.failed_attempts;
    const int64_t wait_ns = std::max(backoff_.ns(retry), result.retry_after_ns.value_or(0));
    const int64_t until_ns = clock_.monotonic_ns() + wait_ns;
    if (stop_by_ns_ && until_ns >= *stop_by_ns_) return false;
    changed_.wait_for(mutex_, wait_ns, [this, until_ns]() REQUIRES(mutex_) {
      return clock_.monotonic_ns() >= until_ns || (stop_by_ns_ && until_ns >= *stop_by_ns_);
    });
    if (is_over()) return false;
    ++counters_.retries;
  }
}

void SpoolExporter::note_problem(const std::string& problem) {
  const MutexLock lock(mutex_);
  counters_.last_problem = problem;
}

}  // namespace touchstone::telemetry
