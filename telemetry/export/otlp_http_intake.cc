#include "telemetry/export/otlp_http_intake.h"

#include <google/protobuf/util/json_util.h>
#include <google/rpc/retry.pb.h>
#include <opentelemetry/proto/collector/trace/v1/trace_service.pb.h>

#include <string>
#include <utility>

#include "base/clock.h"
#include "base/text.h"
#include "telemetry/otlp/byte_source.h"
#include "telemetry/otlp/json.h"
#include "telemetry/otlp/protobuf.h"

namespace touchstone::telemetry {
namespace {

constexpr size_t kMessageBytesMax = size_t{64} << 20;  // OTLP's recommended limit of a request
constexpr char kProtobuf[] = "application/x-protobuf";
constexpr char kJson[] = "application/json";

// google.rpc.Code
constexpr int kInvalidArgument = 3;
constexpr int kResourceExhausted = 8;
constexpr int kUnavailable = 14;

/// Its name without parameters, in lower case.
std::string media_type(const http::HttpRequest& request) {
  const std::string text = request.header("content-type").value_or("");
  return to_lower(trim(std::string_view(text).substr(0, text.find(';'))));
}

template <typename Message>
std::string encoded(const Message& message, bool json) {
  if (!json) return message.SerializeAsString();
  std::string text;
  return google::protobuf::util::MessageToJsonString(message, &text).ok() ? text : "{}";
}

http::HttpResponse failure(int status, int grpc_code, const std::string& message, bool json) {
  google::rpc::Status details;
  details.set_code(grpc_code);
  details.set_message(message);
  return {status, json ? kJson : kProtobuf, {}, encoded(details, json)};
}

/// What a gRPC status code is over HTTP. A sender tries again after 429, 502, 503 and 504 alone, so
/// RESOURCE_EXHAUSTED is 429 only where it says when.
int http_status_of(const OtlpAnswer& answer) {
  switch (answer.grpc_code) {
    case kInvalidArgument:
      return 400;
    case kResourceExhausted:
      return answer.retry_after_ns ? 429 : 413;
    case kUnavailable:
      return 503;
    default:
      return 500;
  }
}

http::HttpResponse response_to(const OtlpAnswer& answer, bool json) {
  if (answer.grpc_code != 0) {
    auto response = failure(http_status_of(answer), answer.grpc_code, answer.message, json);
    if (answer.retry_after_ns) {
      const int64_t seconds = (*answer.retry_after_ns + kNsPerSecond - 1) / kNsPerSecond;
      response.headers.emplace_back("retry-after", std::to_string(seconds));
    }
    return response;
  }
  opentelemetry::proto::collector::trace::v1::ExportTraceServiceResponse message;
  if (answer.rejected_spans > 0 || !answer.message.empty()) {
    message.mutable_partial_success()->set_rejected_spans(answer.rejected_spans);
    message.mutable_partial_success()->set_error_message(answer.message);
  }
  return {200, json ? kJson : kProtobuf, {}, encoded(message, json)};
}

}  // namespace

http::HttpResponse answer_otlp_http(const http::HttpRequest& request,
                                    const std::function<OtlpAnswer(OtlpExport)>& take) {
  const std::string type = media_type(request);
  const bool json = type == kJson;
  if (!json && type != kProtobuf) {
    return failure(415, kInvalidArgument,
                   "content-type: got " + quote(type) + ", expected " + kProtobuf + " or " + kJson,
                   false);
  }
  std::string unpacked;
  std::string_view body = request.body;
  const std::string encoding = to_lower(request.header("content-encoding").value_or("identity"));
  if (encoding == "gzip") {
    auto content = gunzip(body, kMessageBytesMax);
    if (!content) return failure(400, kInvalidArgument, content.error().message, json);
    unpacked = *std::move(content);
    body = unpacked;
  } else if (encoding != "identity") {
    return failure(415, kInvalidArgument,
                   "content-encoding: got " + quote(encoding) + ", expected gzip", json);
  }
  auto batch = json ? decode_otlp_json(body) : decode_otlp_protobuf(body);
  if (!batch) return failure(400, kInvalidArgument, batch.error().message, json);
  OtlpExport taken{*std::move(batch), {}};
  for (const auto& [name, value] : request.headers) {
    taken.headers.emplace_back(to_lower(name), value);
  }
  return response_to(take(std::move(taken)), json);
}

}  // namespace touchstone::telemetry
