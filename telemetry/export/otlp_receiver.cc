#include "telemetry/export/otlp_receiver.h"

#include <google/rpc/retry.pb.h>
#include <grpc/support/log.h>
#include <grpc/support/time.h>
#include <grpcpp/grpcpp.h>
#include <opentelemetry/proto/collector/trace/v1/trace_service.grpc.pb.h>

#include <utility>

#include "base/clock.h"
#include "telemetry/otlp/messages.h"

namespace touchstone::telemetry {
namespace {

namespace service = opentelemetry::proto::collector::trace::v1;

constexpr int kMessageBytesMax = 64 << 20;  // OTLP's recommended limit of a request

grpc::Status refusal(const OtlpAnswer& answer) {
  google::rpc::Status details;
  details.set_code(answer.grpc_code);
  details.set_message(answer.message);
  if (answer.retry_after_ns) {
    google::rpc::RetryInfo info;
    info.mutable_retry_delay()->set_seconds(*answer.retry_after_ns / kNsPerSecond);
    info.mutable_retry_delay()->set_nanos(
        static_cast<int32_t>(*answer.retry_after_ns % kNsPerSecond));
    details.add_details()->PackFrom(info);
  }
  return {static_cast<grpc::StatusCode>(answer.grpc_code), answer.message,
          details.SerializeAsString()};
}

class GrpcReceiver final : public OtlpReceiver, private service::TraceService::Service {
 public:
  explicit GrpcReceiver(const Options& options) : options_(options) {}
  ~GrpcReceiver() override { GrpcReceiver::stop(); }

  Status listen() {
    gpr_set_log_function([](gpr_log_func_args*) {});
    const std::string address = options_.address + ":" + std::to_string(options_.port);
    grpc::ServerBuilder builder;
    // Without this a second server would share the port instead of failing.
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    builder.AddListeningPort(address, grpc::InsecureServerCredentials(), &port_);
    builder.SetMaxReceiveMessageSize(kMessageBytesMax);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    if (server_ == nullptr || port_ == 0) {
      return io_error("OTLP receiver: cannot listen on " + address,
                      "is another program using the port?");
    }
    return {};
  }

  int port() const override { return port_; }
  std::string endpoint() const override {
    return "http://" + options_.address + ":" + std::to_string(port_);
  }
  void stop() override {
    if (server_ == nullptr) return;
    server_->Shutdown(gpr_inf_past(GPR_CLOCK_MONOTONIC));
    server_->Wait();
  }

 private:
  grpc::Status Export(grpc::ServerContext* context,
                      const service::ExportTraceServiceRequest* request,
                      service::ExportTraceServiceResponse* response) override {
    Result<TraceBatch> batch = to_trace_batch(*request);
    if (!batch) return {grpc::StatusCode::INVALID_ARGUMENT, batch.error().message};
    OtlpExport taken{*std::move(batch), {}};
    for (const auto& [name, value] : context->client_metadata()) {
      taken.headers.emplace_back(std::string(name.data(), name.size()),
                                 std::string(value.data(), value.size()));
    }
    const OtlpAnswer answer = options_.take(std::move(taken));
    if (answer.grpc_code != 0) return refusal(answer);
    if (answer.rejected_spans > 0) {
      response->mutable_partial_success()->set_rejected_spans(answer.rejected_spans);
      response->mutable_partial_success()->set_error_message(answer.message);
    }
    return grpc::Status::OK;
  }

  const Options options_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace

Result<std::unique_ptr<OtlpReceiver>> OtlpReceiver::start(const Options& options) {
  auto receiver = std::make_unique<GrpcReceiver>(options);
  RETURN_IF_ERROR(receiver->listen());
  return std::unique_ptr<OtlpReceiver>(std::move(receiver));
}

}  // namespace touchstone::telemetry
