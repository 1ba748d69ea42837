#include "harness/wire/otlp_gate.h"

#include <array>
#include <utility>

#include "base/mutex.h"
#include "base/text.h"
#include "harness/wire/batches.h"
#include "http/server.h"
#include "telemetry/export/otlp_options.h"
#include "telemetry/export/otlp_receiver.h"
#include "telemetry/export/transports.h"
#include "telemetry/otlp/json.h"
#include "telemetry/otlp/protobuf.h"

namespace touchstone::harness {
namespace {

using telemetry::OtlpAnswer;
using telemetry::SendResult;
using telemetry::TraceBatch;

constexpr int64_t kForwardTimeoutNs = 10 * kNsPerSecond;
constexpr int kGrpcInvalid = 3;
constexpr int kGrpcUnavailable = 14;
constexpr int kTooMany = 429;
constexpr int kNotThere = 503;
constexpr char kProtobuf[] = "application/x-protobuf";

class NobodyLooks final : public http::HttpObserver {
 public:
  void on_response_start(const http::HttpExchange&) override {}
  void on_response_end(const http::HttpExchange&) override {}
  void on_problem(const http::HttpExchange&, const std::string&) override {}
};

/// One way to whoever is behind the gate; one request at a time.
class Onward final {
 public:
  explicit Onward(std::string protocol) : protocol_(std::move(protocol)) {}

  void route(uint16_t port) {
    const MutexLock lock(mutex_);
    transport_.reset();
    if (port == 0) return;
    auto options = telemetry::otlp_options("http://127.0.0.1:" + std::to_string(port),
                                           {{"OTEL_EXPORTER_OTLP_PROTOCOL", protocol_}});
    if (!options) return;
    for (const telemetry::TransportRow& row : telemetry::transport_rows()) {
      if (row.protocol != protocol_) continue;
      auto made = row.make(*options);
      if (made) transport_ = std::move(*made);
    }
  }

  SendResult send(const TraceBatch& batch) {
    const std::string bytes = telemetry::encode_otlp_protobuf(batch);
    const MutexLock lock(mutex_);
    if (transport_ == nullptr) {
      return {.outcome = SendResult::Outcome::kRetry,
              .retry_after_ns = {},
              .problem = "nobody is behind the gate yet"};
    }
    return transport_->send(telemetry::Signal::kTraces, bytes, kForwardTimeoutNs);
  }

 private:
  const std::string protocol_;
  Mutex mutex_;
  std::unique_ptr<telemetry::Transport> transport_ GUARDED_BY(mutex_);
};

/// An ExportTraceServiceResponse: `partial_success` is field 1, `rejected_spans` its field 1.
std::string response_bytes(int64_t rejected) {
  if (rejected == 0) return {};
  std::string inner = "\x08";
  for (auto rest = static_cast<uint64_t>(rejected);; rest >>= 7) {
    inner += static_cast<char>((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
    if (rest <= 0x7f) break;
  }
  return "\x0a" + std::string(1, static_cast<char>(inner.size())) + inner;
}

}  // namespace

class OtlpGate::Impl final : public http::HttpHandler {
 public:
  Impl(const Options& options, const Clock& clock)
      : options_(options), server_({.host = "127.0.0.1", .port = 0}, clock, *this, observer_) {}

  Status start() {
    auto receiver = telemetry::OtlpReceiver::start({.take = [this](telemetry::OtlpExport request) {
      return take(std::move(request.batch), grpc_);
    }});
    if (!receiver) return std::move(receiver).error();
    receiver_ = std::move(*receiver);
    RETURN_IF_ERROR(server_.listen());
    server_.start();
    log(HopAnswer::kTaken, {});
    return {};
  }

  ~Impl() override {
    if (receiver_ != nullptr) receiver_->stop();
    server_.stop();
  }

  http::Admission admit(const http::HttpRequest&) override {
    http::Admission admission;
    admission.place = http::Admission::Place::kWorker;
    return admission;
  }

  http::Reply handle(http::HttpRequest& request) override {
    const auto plain = [](int status, const std::string& why) {
      return http::Reply{http::plain_error(status, "", why), nullptr, ""};
    };
    if (request.header("content-encoding").value_or("identity") != "identity") {
      return plain(415, "the gate takes bodies without an encoding");
    }
    const std::string type = request.header("content-type").value_or("");
    const bool is_json = type.starts_with("application/json");
    auto batch = is_json ? telemetry::decode_otlp_json(request.body)
                         : telemetry::decode_otlp_protobuf(request.body);
    if (!batch) return plain(400, batch.error().message);
    const OtlpAnswer answer = take(std::move(*batch), http_);
    http::Reply reply;
    reply.response.content_type = is_json ? "application/json" : kProtobuf;
    if (answer.grpc_code == 0) {
      reply.response.body = is_json ? R"({"partialSuccess":{"rejectedSpans":")" +
                                          std::to_string(answer.rejected_spans) + "\"}}"
                                    : response_bytes(answer.rejected_spans);
      return reply;
    }
    reply = plain(answer.grpc_code == kGrpcInvalid ? 400 : status(), answer.message);
    if (answer.retry_after_ns) {
      const int64_t seconds = (*answer.retry_after_ns + kNsPerSecond - 1) / kNsPerSecond;
      reply.response.headers.emplace_back("retry-after", std::to_string(seconds));
    }
    return reply;
  }

  uint16_t grpc_port() const { return static_cast<uint16_t>(receiver_->port()); }
  uint16_t http_port() const { return server_.port(); }
  void route(uint16_t grpc_port, uint16_t http_port) {
    grpc_.route(grpc_port);
    http_.route(http_port);
  }
  void set(const AnswerFault& fault) {
    const MutexLock lock(mutex_);
    fault_ = fault;
  }

 private:
  AnswerFault fault() {
    const MutexLock lock(mutex_);
    return fault_;
  }
  /// Of a refusal over HTTP: the fault's, else the one for a receiver that is not there.
  int status() {
    const int wanted = fault().http_status;
    return wanted != 0 ? wanted : kNotThere;
  }
  void log(HopAnswer answer, const TraceBatch& batch) {
    if (options_.log != nullptr) options_.log->add(options_.hop, answer, batch);
  }

  OtlpAnswer take(TraceBatch batch, Onward& onward) {
    const AnswerFault fault = this->fault();
    if (fault.http_status != 0) {
      log(HopAnswer::kRefused, batch);
      return {.grpc_code = kGrpcUnavailable,
              .message = fault.http_status == kTooMany ? "too many requests" : "unavailable",
              .retry_after_ns = fault.retry_after_ns};
    }
    if (fault.shift_ns != 0) shift_times(batch, fault.shift_ns);
    TraceBatch rejected = take_out(batch, fault.reject_per_cent);
    const int64_t left_out = telemetry::span_count(rejected);
    SendResult sent;
    if (telemetry::span_count(batch) > 0 || left_out == 0) sent = onward.send(batch);
    if (sent.outcome != SendResult::Outcome::kDelivered) {
      log(HopAnswer::kRefused, batch);
      const bool again = sent.outcome == SendResult::Outcome::kRetry;
      return {.grpc_code = again ? kGrpcUnavailable : kGrpcInvalid,
              .message = sent.problem,
              .retry_after_ns = sent.retry_after_ns};
    }
    log(HopAnswer::kTaken, batch);
    if (left_out > 0) log(HopAnswer::kRejected, rejected);
    OtlpAnswer answer;
    answer.rejected_spans = left_out + sent.rejected;
    if (answer.rejected_spans > 0) {
      answer.message = left_out > 0 ? "rejected as the suite asked for" : sent.problem;
    }
    return answer;
  }

  const Options options_;
  Onward grpc_{"grpc"};
  Onward http_{"http/protobuf"};
  Mutex mutex_;
  AnswerFault fault_ GUARDED_BY(mutex_);
  NobodyLooks observer_;
  std::unique_ptr<telemetry::OtlpReceiver> receiver_;
  http::HttpServer server_;  // last: its threads use the rest
};

OtlpGate::OtlpGate(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
OtlpGate::~OtlpGate() = default;

Result<std::unique_ptr<OtlpGate>> OtlpGate::start(const Options& options, const Clock& clock) {
  auto impl = std::make_unique<Impl>(options, clock);
  RETURN_IF_ERROR(impl->start());
  return std::unique_ptr<OtlpGate>(new OtlpGate(std::move(impl)));  // NOLINT: private constructor
}

uint16_t OtlpGate::grpc_port() const { return impl_->grpc_port(); }
uint16_t OtlpGate::http_port() const { return impl_->http_port(); }
void OtlpGate::route(uint16_t grpc_port, uint16_t http_port) { impl_->route(grpc_port, http_port); }
void OtlpGate::set(const AnswerFault& fault) { impl_->set(fault); }

}  // namespace touchstone::harness
