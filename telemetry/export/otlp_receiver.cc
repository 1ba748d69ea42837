#include "telemetry/export/otlp_receiver.h"

#include <google/rpc/retry.pb.h>
#include <grpc/support/log.h>
#include <grpc/support/time.h>
#include <grpcpp/grpcpp.h>
#include <opentelemetry/proto/collector/trace/v1/trace_service.grpc.pb.h>

#include <chrono>
#include <condition_variable>
#include <iterator>
#include <map>
#include <mutex>
#include <utility>

#include "base/clock.h"
#include "telemetry/otlp/messages.h"

namespace touchstone::telemetry {
namespace {

namespace service = opentelemetry::proto::collector::trace::v1;

constexpr int kMessageBytesMax = 64 << 20;  // OTLP's recommended limit of a request

std::string status_details(const ReceiverBehaviour& behaviour) {
  google::rpc::Status details;
  details.set_code(behaviour.grpc_code);
  details.set_message(behaviour.message);
  if (behaviour.retry_after_ns) {
    google::rpc::RetryInfo info;
    info.mutable_retry_delay()->set_seconds(*behaviour.retry_after_ns / kNsPerSecond);
    info.mutable_retry_delay()->set_nanos(
        static_cast<int32_t>(*behaviour.retry_after_ns % kNsPerSecond));
    details.add_details()->PackFrom(info);
  }
  return details.SerializeAsString();
}

class GrpcReceiver final : public OtlpReceiver, private service::TraceService::Service {
 public:
  explicit GrpcReceiver(const Options& options) : options_(options) {}
  ~GrpcReceiver() override { stop(); }

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
  TraceBatch received() const override {
    const std::lock_guard lock(mutex_);
    return received_;
  }
  int64_t spans_received() const override {
    const std::lock_guard lock(mutex_);
    return spans_;
  }
  int64_t requests_seen() const override {
    const std::lock_guard lock(mutex_);
    return requests_;
  }
  std::optional<std::string> header(const std::string& name) const override {
    const std::lock_guard lock(mutex_);
    const auto found = headers_.find(name);
    if (found == headers_.end()) return std::nullopt;
    return found->second;
  }
  bool wait_for_spans(int64_t count, int64_t timeout_ns) const override {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::nanoseconds(timeout_ns),
                             [&] { return spans_ >= count; });
  }
  bool wait_for_requests(int64_t count, int64_t timeout_ns) const override {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::nanoseconds(timeout_ns),
                             [&] { return requests_ >= count; });
  }
  void behave(const ReceiverBehaviour& behaviour) override {
    const std::lock_guard lock(mutex_);
    behaviour_ = behaviour;
  }
  void hold() override {
    const std::lock_guard lock(mutex_);
    held_ = true;
  }
  void release() override {
    {
      const std::lock_guard lock(mutex_);
      held_ = false;
    }
    changed_.notify_all();
  }
  void stop() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    if (server_ != nullptr) server_->Shutdown(gpr_inf_past(GPR_CLOCK_MONOTONIC));
  }

 private:
  grpc::Status Export(grpc::ServerContext* context,
                      const service::ExportTraceServiceRequest* request,
                      service::ExportTraceServiceResponse* response) override {
    Result<TraceBatch> batch = to_trace_batch(*request);
    std::unique_lock lock(mutex_);
    ++requests_;
    headers_.clear();
    for (const auto& [name, value] : context->client_metadata()) {
      headers_.emplace(std::string(name.data(), name.size()),
                       std::string(value.data(), value.size()));
    }
    changed_.notify_all();
    changed_.wait(lock, [&] { return !held_ || stopping_; });
    if (stopping_) return {grpc::StatusCode::UNAVAILABLE, "the receiver stops"};
    ReceiverBehaviour behaviour;
    if (behaviour_.requests > 0) {
      --behaviour_.requests;
      behaviour = behaviour_;
    }
    if (behaviour.grpc_code != 0) {
      return {static_cast<grpc::StatusCode>(behaviour.grpc_code), behaviour.message,
              status_details(behaviour)};
    }
    if (!batch) return {grpc::StatusCode::INVALID_ARGUMENT, batch.error().message};
    take(*std::move(batch));
    if (behaviour.rejected_spans > 0) {
      response->mutable_partial_success()->set_rejected_spans(behaviour.rejected_spans);
      response->mutable_partial_success()->set_error_message(behaviour.message);
    }
    changed_.notify_all();
    return grpc::Status::OK;
  }

  /// REQUIRES: mutex_ is held.
  void take(TraceBatch batch) {
    for (const ResourceSpans& group : batch) {
      for (const ScopeSpans& scope : group.scope_spans) {
        spans_ += static_cast<int64_t>(scope.spans.size());
      }
    }
    if (options_.on_batch) options_.on_batch(batch);
    std::move(batch.begin(), batch.end(), std::back_inserter(received_));
  }

  const Options options_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;

  mutable std::mutex mutex_;  // over everything below
  mutable std::condition_variable changed_;
  TraceBatch received_;
  int64_t spans_ = 0;
  int64_t requests_ = 0;
  std::map<std::string, std::string> headers_;
  ReceiverBehaviour behaviour_{.requests = 0};
  bool held_ = false;
  bool stopping_ = false;
};

}  // namespace

Result<std::unique_ptr<OtlpReceiver>> OtlpReceiver::start(const Options& options) {
  auto receiver = std::make_unique<GrpcReceiver>(options);
  RETURN_IF_ERROR(receiver->listen());
  return std::unique_ptr<OtlpReceiver>(std::move(receiver));
}

}  // namespace touchstone::telemetry
