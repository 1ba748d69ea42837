#include "harness/collector/embedded.h"

#include <utility>

#include "base/files.h"
#include "base/mutex.h"
#include "telemetry/export/otlp_receiver.h"
#include "telemetry/otlp/json.h"

namespace touchstone::harness {
namespace {

class Receiver final : public EmbeddedCollector {
 public:
  explicit Receiver(std::unique_ptr<LineWriter> file) : file_(std::move(file)) {}
  ~Receiver() override { (void)stop(); }

  Status listen(uint16_t port) {
    auto receiver = telemetry::OtlpReceiver::start(
        {.port = port,
         .take = [this](const telemetry::OtlpExport& request) { return write(request.batch); }});
    if (!receiver) return std::move(receiver).error();
    receiver_ = std::move(*receiver);
    return {};
  }

  Status stop() override {
    if (receiver_ != nullptr) receiver_->stop();
    const MutexLock lock(mutex_);
    if (const auto file = std::exchange(file_, nullptr)) {
      Status closed = file->close();
      if (first_problem_) first_problem_ = std::move(closed);
    }
    return first_problem_;
  }

 private:
  /// On a thread of the receiver. Flushed at once: what was acknowledged is in the file. After a
  /// first failure everything is refused, for good: the file may end inside a line.
  telemetry::OtlpAnswer write(const telemetry::TraceBatch& batch) {
    const MutexLock lock(mutex_);
    if (first_problem_) first_problem_ = file_->write(telemetry::encode_otlp_json(batch));
    if (first_problem_) first_problem_ = file_->flush();
    if (first_problem_) return {};
    constexpr int kInternal = 13;
    return {.grpc_code = kInternal, .message = first_problem_.error().message};
  }

  Mutex mutex_;
  std::unique_ptr<LineWriter> file_ GUARDED_BY(mutex_);
  Status first_problem_ GUARDED_BY(mutex_);
  std::unique_ptr<telemetry::OtlpReceiver> receiver_;  // last: its threads use the rest
};

}  // namespace

Result<std::unique_ptr<EmbeddedCollector>> EmbeddedCollector::start(uint16_t port,
                                                                    const std::string& spans_file) {
  auto file = LineWriter::open(spans_file);
  if (!file) return std::move(file).error();
  auto receiver = std::make_unique<Receiver>(std::move(*file));
  RETURN_IF_ERROR(receiver->listen(port));
  return std::unique_ptr<EmbeddedCollector>(std::move(receiver));
}

}  // namespace touchstone::harness
