#include "telemetry/export/otlp_http_transport.h"

#include <google/protobuf/util/json_util.h>
#include <google/rpc/retry.pb.h>
#include <opentelemetry/proto/collector/metrics/v1/metrics_service.pb.h>
#include <opentelemetry/proto/collector/trace/v1/trace_service.pb.h>
#include <zlib.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "base/text.h"
#include "base/version.h"
#include "telemetry/otlp/json.h"
#include "telemetry/otlp/metrics.h"
#include "telemetry/otlp/protobuf.h"

namespace touchstone::telemetry {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace beast_http = boost::beast::http;

using Request = beast_http::request<beast_http::string_body>;
using Answer = beast_http::response<beast_http::string_body>;
// The answers of the three signals have the same fields with the same numbers.
using Response = opentelemetry::proto::collector::trace::v1::ExportTraceServiceResponse;
using MetricsResponse = opentelemetry::proto::collector::metrics::v1::ExportMetricsServiceResponse;

enum class Body { kProtobuf, kJson };

std::string gzip(std::string_view bytes) {
  z_stream stream{};
  constexpr int kGzipWindow = 15 + 16;
  deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kGzipWindow, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

/// A request of our own as JSON.
std::string json_of(Signal signal, std::string_view bytes) {
  if (signal == Signal::kMetrics) {
    auto text = otlp_metrics_json(bytes);
    BASE_CHECK(text.has_value(), "our own metrics");
    return *std::move(text);
  }
  const auto batch = decode_otlp_protobuf(bytes);
  BASE_CHECK(signal == Signal::kTraces && batch, "our own traces");
  return encode_otlp_json(*batch);
}

asio::awaitable<Answer> exchange(asio::io_context& io, const OtlpEndpoint& endpoint,
                                 asio::ssl::context* tls, const Request& request) {
  asio::ip::tcp::resolver resolver(io);
  const auto addresses =
      co_await resolver.async_resolve(endpoint.host(), endpoint.port(), asio::use_awaitable);
  beast::flat_buffer buffer;
  Answer answer;
  const auto talk = [&](auto& stream) -> asio::awaitable<void> {
    co_await beast_http::async_write(stream, request, asio::use_awaitable);
    co_await beast_http::async_read(stream, buffer, answer, asio::use_awaitable);
  };
  if (tls == nullptr) {
    beast::tcp_stream stream(io);
    co_await stream.async_connect(addresses, asio::use_awaitable);
    co_await talk(stream);
  } else {
    beast::ssl_stream<beast::tcp_stream> stream(io, *tls);
    SSL_set_tlsext_host_name(stream.native_handle(), endpoint.host().c_str());
    stream.set_verify_callback(asio::ssl::host_name_verification(endpoint.host()));
    co_await beast::get_lowest_layer(stream).async_connect(addresses, asio::use_awaitable);
    co_await stream.async_handshake(asio::ssl::stream_base::client, asio::use_awaitable);
    co_await talk(stream);
  }
  co_return answer;
}

class OtlpHttpTransport final : public Transport {
 public:
  OtlpHttpTransport(const OtlpOptions& options, std::unique_ptr<asio::ssl::context> tls, Body body)
      : options_(options), tls_(std::move(tls)), body_(body) {}

  SendResult send(Signal signal, std::string_view bytes, int64_t timeout_ns) override {
    BASE_CHECK(signal == options_.signal, "the endpoint's path is its signal's");
    const Request request = request_for(signal, bytes);
    asio::io_context io;
    {
      const MutexLock lock(mutex_);
      if (cancelled_) return broken("shut down");
      in_flight_ = &io;
    }
    std::optional<Answer> answer;
    std::string problem;
    asio::co_spawn(io, exchange(io, options_.endpoint, tls_.get(), request),
                   [&](const std::exception_ptr& failed, Answer got) {
                     if (!failed) {
                       answer = std::move(got);
                       return;
                     }
                     try {
                       std::rethrow_exception(failed);
                     } catch (const std::exception& what) {
                       problem = what.what();
                     }
                   });
    io.run_for(std::chrono::nanoseconds(timeout_ns));
    {
      const MutexLock lock(mutex_);
      in_flight_ = nullptr;
      if (cancelled_) problem = "shut down";
    }
    if (answer) return outcome(*answer);
    return broken(problem.empty() ? "no answer within " + format_duration(timeout_ns) : problem);
  }

  void cancel() override {
    const MutexLock lock(mutex_);
    cancelled_ = true;
    if (in_flight_ != nullptr) in_flight_->stop();
  }

 private:
  Request request_for(Signal signal, std::string_view bytes) const {
    constexpr unsigned kHttp11 = 11;
    Request request(beast_http::verb::post, options_.endpoint.path, kHttp11);
    request.set(beast_http::field::host, options_.endpoint.authority);
    request.set(beast_http::field::user_agent,
                std::string("OTel-OTLP-Exporter-Touchstone/") + kVersion);
    const bool json = body_ == Body::kJson;
    request.set(beast_http::field::content_type,
                json ? "application/json" : "application/x-protobuf");
    std::string text;
    if (json) {
      text = json_of(signal, bytes);
      bytes = text;
    }
    for (const auto& [name, value] : options_.headers) request.set(name, value);
    request.keep_alive(false);
    if (options_.gzip) {
      request.set(beast_http::field::content_encoding, "gzip");
      request.body() = gzip(bytes);
    } else {
      request.body() = bytes;
    }
    request.prepare_payload();
    return request;
  }

  SendResult broken(const std::string& problem) const {
    return {.outcome = SendResult::Outcome::kRetry,
            .rejected = 0,
            .retry_after_ns = std::nullopt,
            .problem = options_.endpoint.authority + ": " + problem};
  }

  /// What the answer says; nothing where it cannot be read.
  Response read(const std::string& body) const {
    Response response;
    if (body_ == Body::kProtobuf) {
      if (!response.ParseFromString(body)) response.Clear();
      return response;
    }
    google::protobuf::util::JsonParseOptions lenient;
    lenient.ignore_unknown_fields = true;
    if (options_.signal == Signal::kMetrics) {
      MetricsResponse metrics;
      if (google::protobuf::util::JsonStringToMessage(body, &metrics, lenient).ok()) {
        response.ParseFromString(metrics.SerializeAsString());
      }
      return response;
    }
    if (!google::protobuf::util::JsonStringToMessage(body, &response, lenient).ok()) {
      response.Clear();
    }
    return response;
  }

  SendResult outcome(const Answer& answer) const {
    SendResult result;
    const unsigned status = answer.result_int();
    if (status >= 200 && status < 300) {
      // An empty answer is a plain success; one that cannot be read is still an acknowledgement.
      const Response response = read(answer.body());
      result.rejected = response.partial_success().rejected_spans();
      if (!response.partial_success().error_message().empty()) {
        result.problem =
            options_.endpoint.authority + ": " + response.partial_success().error_message();
      }
      return result;
    }
    const bool again = status == 429 || status == 502 || status == 503 || status == 504;
    result.outcome = again ? SendResult::Outcome::kRetry : SendResult::Outcome::kFailed;
    if (const auto after = parse_int(std::string(answer[beast_http::field::retry_after]));
        again && after && *after >= 0 && *after < 86'400) {
      result.retry_after_ns = *after * kNsPerSecond;
    }
    google::rpc::Status details;
    const bool readable = details.ParseFromString(answer.body()) && !details.message().empty();
    result.problem = options_.endpoint.authority + options_.endpoint.path + ": status " +
                     std::to_string(status) + (readable ? ": " + details.message() : "");
    return result;
  }

  const OtlpOptions options_;
  const std::unique_ptr<asio::ssl::context> tls_;  // null: plaintext
  const Body body_;
  Mutex mutex_;
  asio::io_context* in_flight_ GUARDED_BY(mutex_) = nullptr;
  bool cancelled_ GUARDED_BY(mutex_) = false;
};

Result<std::unique_ptr<asio::ssl::context>> tls_context(const OtlpOptions& options) {
  auto tls = std::make_unique<asio::ssl::context>(asio::ssl::context::tls_client);
  tls->set_verify_mode(asio::ssl::verify_peer);
  boost::system::error_code error;
  const auto check = [&](const std::string& file) -> Status {
    if (!error) return {};
    return io_error(file + ": cannot be used for TLS: " + error.message());
  };
  if (options.certificate_file.empty()) {
    tls->set_default_verify_paths(error);
  } else {
    tls->load_verify_file(options.certificate_file, error);
  }
  RETURN_IF_ERROR(check(options.certificate_file));
  if (!options.client_certificate_file.empty()) {
    tls->use_certificate_chain_file(options.client_certificate_file, error);
    RETURN_IF_ERROR(check(options.client_certificate_file));
  }
  if (!options.client_key_file.empty()) {
    tls->use_private_key_file(options.client_key_file, asio::ssl::context::pem, error);
    RETURN_IF_ERROR(check(options.client_key_file));
  }
  return tls;
}

Result<std::unique_ptr<Transport>> make_transport(const OtlpOptions& options, Body body) {
  std::unique_ptr<asio::ssl::context> tls;
  if (options.endpoint.tls) {
    auto made = tls_context(options);
    if (!made) return std::move(made).error();
    tls = *std::move(made);
  }
  std::unique_ptr<Transport> transport =
      std::make_unique<OtlpHttpTransport>(options, std::move(tls), body);
  return transport;
}

}  // namespace

Result<std::unique_ptr<Transport>> make_otlp_http_transport(const OtlpOptions& options) {
  return make_transport(options, Body::kProtobuf);
}

Result<std::unique_ptr<Transport>> make_otlp_http_json_transport(const OtlpOptions& options) {
  return make_transport(options, Body::kJson);
}

}  // namespace touchstone::telemetry
