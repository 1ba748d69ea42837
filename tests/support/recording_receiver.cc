#include "tests/support/recording_receiver.h"

#include <iterator>
#include <utility>

namespace touchstone::testing {

using telemetry::OtlpAnswer;
using telemetry::OtlpExport;
using telemetry::OtlpReceiver;

Result<std::unique_ptr<RecordingReceiver>> RecordingReceiver::start(int port) {
  auto result = std::make_unique<RecordingReceiver>();
  OtlpReceiver::Options options;
  options.port = port;
  options.take = [self = result.get()](OtlpExport request) {
    return self->take(std::move(request));
  };
  auto receiver = OtlpReceiver::start(options);
  if (!receiver) return std::move(receiver).error();
  result->receiver_ = *std::move(receiver);
  return result;
}

RecordingReceiver::~RecordingReceiver() {
  if (receiver_ != nullptr) stop();
}

OtlpAnswer RecordingReceiver::take(OtlpExport request) {
  const MutexLock lock(mutex_);
  ++requests_;
  headers_ = {request.headers.begin(), request.headers.end()};
  changed_.notify_all();
  changed_.wait(mutex_, [this]() REQUIRES(mutex_) { return !held_ || stopping_; });
  constexpr int kUnavailable = 14;
  if (stopping_) return {.grpc_code = kUnavailable, .message = "the receiver stops"};
  OtlpAnswer answer;
  if (answers_left_ > 0) {
    --answers_left_;
    answer = answer_;
  }
  if (answer.grpc_code == 0) {
    spans_ += telemetry::span_count(request.batch);
    std::move(request.batch.begin(), request.batch.end(), std::back_inserter(received_));
    changed_.notify_all();
  }
  return answer;
}

telemetry::TraceBatch RecordingReceiver::received() const {
  const MutexLock lock(mutex_);
  return received_;
}
int64_t RecordingReceiver::spans_received() const {
  const MutexLock lock(mutex_);
  return spans_;
}
int64_t RecordingReceiver::requests_seen() const {
  const MutexLock lock(mutex_);
  return requests_;
}
std::optional<std::string> RecordingReceiver::header(const std::string& name) const {
  const MutexLock lock(mutex_);
  const auto found = headers_.find(name);
  if (found == headers_.end()) return std::nullopt;
  return found->second;
}
bool RecordingReceiver::wait_for_spans(int64_t count, int64_t timeout_ns) const {
  const MutexLock lock(mutex_);
  return changed_.wait_for(mutex_, timeout_ns,
                           [this, count]() REQUIRES(mutex_) { return spans_ >= count; });
}
bool RecordingReceiver::wait_for_requests(int64_t count, int64_t timeout_ns) const {
  const MutexLock lock(mutex_);
  return changed_.wait_for(mutex_, timeout_ns,
                           [this, count]() REQUIRES(mutex_) { return requests_ >= count; });
}

void RecordingReceiver::behave(const OtlpAnswer& answer, int64_t requests) {
  const MutexLock lock(mutex_);
  answer_ = answer;
  answers_left_ = requests;
}
void RecordingReceiver::hold() {
  const MutexLock lock(mutex_);
  held_ = true;
}
void RecordingReceiver::release() {
  const MutexLock lock(mutex_);
  held_ = false;
  changed_.notify_all();
}
void RecordingReceiver::stop() {
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  receiver_->stop();
}

}  // namespace touchstone::testing
