#include "harness/collector/embedded.h"

#include <utility>

#include "harness/collector/span_file.h"
#include "telemetry/export/otlp_receiver.h"

namespace touchstone::harness {
namespace {

class Receiver final : public EmbeddedCollector {
 public:
  explicit Receiver(const std::string& path) : file_(path) {}
  ~Receiver() override { (void)stop(); }

  Status start(uint16_t port) {
    RETURN_IF_ERROR(file_.open());
    auto receiver = telemetry::OtlpReceiver::start(
        {.port = port, .take = [this](const telemetry::OtlpExport& request) {
           return file_.write(request.batch);
         }});
    if (!receiver) return std::move(receiver).error();
    receiver_ = std::move(*receiver);
    return {};
  }

  Status stop() override {
    if (receiver_ != nullptr) receiver_->stop();
    return file_.problem();
  }

 private:
  SpanFile file_;
  std::unique_ptr<telemetry::OtlpReceiver> receiver_;  // last: its threads use the rest
};

}  // namespace

Result<std::unique_ptr<EmbeddedCollector>> EmbeddedCollector::start(uint16_t port,
                                                                    const std::string& spans_file) {
  auto receiver = std::make_unique<Receiver>(spans_file);
  RETURN_IF_ERROR(receiver->start(port));
  return std::unique_ptr<EmbeddedCollector>(std::move(receiver));
}

}  // namespace touchstone::harness
