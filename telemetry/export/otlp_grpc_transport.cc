#include "telemetry/export/otlp_grpc_transport.h"

#include <google/rpc/retry.pb.h>
#include <grpc/support/log.h>
#include <grpc/support/time.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <opentelemetry/proto/collector/trace/v1/trace_service.pb.h>

#include <utility>

#include "base/files.h"
#include "base/mutex.h"
#include "base/version.h"

namespace touchstone::telemetry {
namespace {

const char* method_of(Signal signal) {
  switch (signal) {
    case Signal::kTraces:
      return "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    case Signal::kMetrics:
      return "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
    case Signal::kLogs:
      return "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
  }
  return "";
}

constexpr int kReconnectFirstMs = 200;
constexpr int kReconnectMaxMs = 2000;  // gRPC's own 120 s would outlive every batch
// The answers of the three signals have the same fields with the same numbers.
using Response = opentelemetry::proto::collector::trace::v1::ExportTraceServiceResponse;

const char* code_name(grpc::StatusCode code) {
  static constexpr const char* kNames[] = {"OK",
                                           "CANCELLED",
                                           "UNKNOWN",
                                           "INVALID_ARGUMENT",
                                           "DEADLINE_EXCEEDED",
                                           "NOT_FOUND",
                                           "ALREADY_EXISTS",
                                           "PERMISSION_DENIED",
                                           "RESOURCE_EXHAUSTED",
                                           "FAILED_PRECONDITION",
                                           "ABORTED",
                                           "OUT_OF_RANGE",
                                           "UNIMPLEMENTED",
                                           "INTERNAL",
                                           "UNAVAILABLE",
                                           "DATA_LOSS",
                                           "UNAUTHENTICATED"};
  const auto index = static_cast<size_t>(code);
  return index < std::size(kNames) ? kNames[index] : "UNKNOWN";
}

/// The delay of a RetryInfo in the status details, which is also the permission to retry.
std::optional<int64_t> retry_info_ns(const grpc::Status& status) {
  google::rpc::Status details;
  if (!details.ParseFromString(status.error_details())) return std::nullopt;
  for (const google::protobuf::Any& detail : details.details()) {
    google::rpc::RetryInfo info;
    if (!detail.UnpackTo(&info)) continue;
    return info.retry_delay().seconds() * kNsPerSecond + info.retry_delay().nanos();
  }
  return std::nullopt;
}

bool is_retryable(grpc::StatusCode code, bool has_retry_info) {
  switch (code) {
    case grpc::StatusCode::CANCELLED:
    case grpc::StatusCode::DEADLINE_EXCEEDED:
    case grpc::StatusCode::ABORTED:
    case grpc::StatusCode::OUT_OF_RANGE:
    case grpc::StatusCode::UNAVAILABLE:
    case grpc::StatusCode::DATA_LOSS:
      return true;
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      return has_retry_info;
    default:
      return false;
  }
}

bool is_loopback(const std::string& authority) {
  return authority.starts_with("127.") || authority.starts_with("localhost:") ||
         authority.starts_with("[::1]:");
}

class OtlpGrpcTransport final : public Transport {
 public:
  OtlpGrpcTransport(const OtlpOptions& options, std::shared_ptr<grpc::Channel> channel)
      : options_(options), stub_(std::move(channel)) {}

  SendResult send(Signal signal, std::string_view bytes, int64_t timeout_ns) override {
    const grpc::Slice slice(bytes.data(), bytes.size(), grpc::Slice::STATIC_SLICE);
    const grpc::ByteBuffer request(&slice, 1);
    grpc::ByteBuffer response;
    grpc::ClientContext context;
    context.set_deadline(
        gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_nanos(timeout_ns, GPR_TIMESPAN)));
    for (const auto& [name, value] : options_.headers) context.AddMetadata(name, value);
    if (options_.gzip) context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
    return outcome(call(signal, context, request, response), response);
  }

  void cancel() override {
    const MutexLock lock(mutex_);
    cancelled_ = true;
    if (in_flight_ != nullptr) in_flight_->TryCancel();
  }

 private:
  grpc::Status call(Signal signal, grpc::ClientContext& context, const grpc::ByteBuffer& request,
                    grpc::ByteBuffer& response) {
    grpc::Status status;
    bool done = false;
    ConditionVariable changed;
    const MutexLock lock(mutex_);
    if (cancelled_) return {grpc::StatusCode::CANCELLED, "shut down"};
    in_flight_ = &context;
    stub_.UnaryCall(&context, method_of(signal), grpc::StubOptions(), &request, &response,
                    [&](grpc::Status result) {
                      const MutexLock inner(mutex_);
                      status = std::move(result);
                      done = true;
                      // Under the lock, since `changed` is gone as soon as the waiter has it.
                      changed.notify_one();
                    });
    changed.wait(mutex_, [&] { return done; });
    in_flight_ = nullptr;
    return status;
  }

  SendResult outcome(const grpc::Status& status, grpc::ByteBuffer& bytes) const {
    SendResult result;
    if (!status.ok()) {
      result.retry_after_ns = retry_info_ns(status);
      result.outcome = is_retryable(status.error_code(), result.retry_after_ns.has_value())
                           ? SendResult::Outcome::kRetry
                           : SendResult::Outcome::kFailed;
      result.problem = options_.endpoint.authority + ": " + code_name(status.error_code()) + ": " +
                       status.error_message();
      return result;
    }
    // An empty answer is a plain success; one that cannot be read is still an acknowledgement.
    Response response;
    if (grpc::SerializationTraits<Response>::Deserialize(&bytes, &response).ok() &&
        response.has_partial_success()) {
      result.rejected = response.partial_success().rejected_spans();
      if (!response.partial_success().error_message().empty()) {
        result.problem =
            options_.endpoint.authority + ": " + response.partial_success().error_message();
      }
    }
    return result;
  }

  const OtlpOptions options_;
  grpc::GenericStub stub_;
  Mutex mutex_;
  grpc::ClientContext* in_flight_ GUARDED_BY(mutex_) = nullptr;
  bool cancelled_ GUARDED_BY(mutex_) = false;
};

Result<std::shared_ptr<grpc::ChannelCredentials>> credentials(const OtlpOptions& options) {
  if (!options.endpoint.tls) return grpc::InsecureChannelCredentials();
  grpc::SslCredentialsOptions ssl;
  for (const auto& [path, pem] :
       {std::pair{&options.certificate_file, &ssl.pem_root_certs},
        std::pair{&options.client_key_file, &ssl.pem_private_key},
        std::pair{&options.client_certificate_file, &ssl.pem_cert_chain}}) {
    if (path->empty()) continue;
    Result<std::string> content = read_file(*path);
    if (!content) return std::move(content).error();
    *pem = *std::move(content);
  }
  return grpc::SslCredentials(ssl);
}

}  // namespace

Result<std::unique_ptr<Transport>> make_otlp_grpc_transport(const OtlpOptions& options) {
  gpr_set_log_function([](gpr_log_func_args*) {});
  Result<std::shared_ptr<grpc::ChannelCredentials>> creds = credentials(options);
  if (!creds) return std::move(creds).error();
  grpc::ChannelArguments arguments;
  arguments.SetUserAgentPrefix(std::string("OTel-OTLP-Exporter-Touchstone/") + kVersion);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kReconnectFirstMs);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kReconnectFirstMs);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kReconnectMaxMs);
  // A Collector beside us is never behind the proxy of the environment.
  if (is_loopback(options.endpoint.authority)) arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  std::unique_ptr<Transport> transport = std::make_unique<OtlpGrpcTransport>(
      options, grpc::CreateCustomChannel(options.endpoint.authority, *creds, arguments));
  return transport;
}

}  // namespace touchstone::telemetry
