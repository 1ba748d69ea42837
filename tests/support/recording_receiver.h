// An OtlpReceiver that keeps what it takes and answers as a test tells it. Thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/mutex.h"
#include "telemetry/export/otlp_receiver.h"

namespace touchstone::testing {

class RecordingReceiver final {
 public:
  /// ERRORS: kIo when the port cannot be had. `port` 0: any free one.
  static Result<std::unique_ptr<RecordingReceiver>> start(int port = 0);
  /// For start().
  RecordingReceiver() = default;
  ~RecordingReceiver();
  RecordingReceiver(const RecordingReceiver&) = delete;
  RecordingReceiver& operator=(const RecordingReceiver&) = delete;

  int port() const { return receiver_->port(); }
  std::string endpoint() const { return receiver_->endpoint(); }

  /// All taken so far, in order of arrival.
  telemetry::TraceBatch received() const;
  int64_t spans_received() const;
  int64_t requests_seen() const;  ///< refused ones too
  /// A header of the latest request, nullopt without it.
  std::optional<std::string> header(const std::string& name) const;
  /// Waits until there were so many; false when `timeout_ns` passed first.
  bool wait_for_spans(int64_t count, int64_t timeout_ns) const;
  bool wait_for_requests(int64_t count, int64_t timeout_ns) const;

  /// Answers the next `requests` so, then takes everything again.
  void behave(const telemetry::OtlpAnswer& answer, int64_t requests = 1);
  /// Keeps requests waiting until release().
  void hold();
  void release();
  /// Requests that are held are refused.
  void stop();

 private:
  telemetry::OtlpAnswer take(telemetry::OtlpExport request);

  mutable Mutex mutex_;
  mutable ConditionVariable changed_;
  telemetry::TraceBatch received_ GUARDED_BY(mutex_);
  int64_t spans_ GUARDED_BY(mutex_) = 0;
  int64_t requests_ GUARDED_BY(mutex_) = 0;
  std::map<std::string, std::string> headers_ GUARDED_BY(mutex_);
  telemetry::OtlpAnswer answer_ GUARDED_BY(mutex_);
  int64_t answers_left_ GUARDED_BY(mutex_) = 0;
  bool held_ GUARDED_BY(mutex_) = false;
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::unique_ptr<telemetry::OtlpReceiver> receiver_;  // last: its threads use the rest
};

}  // namespace touchstone::testing
