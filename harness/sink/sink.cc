#include "harness/sink/sink.h"

#include <atomic>
#include <utility>

#include "base/text.h"
#include "harness/collector/span_file.h"
#include "harness/sink/json_values.h"
#include "harness/sink/query_api.h"
#include "http/listen_address.h"
#include "http/query.h"
#include "http/server.h"
#include "telemetry/export/otlp_http_intake.h"
#include "telemetry/export/otlp_receiver.h"

namespace touchstone::harness {
namespace {

using telemetry::OtlpAnswer;
using telemetry::OtlpExport;

constexpr int kResourceExhausted = 8;  // google.rpc.Code

/// What both receivers hand their spans to.
class Intake final {
 public:
  explicit Intake(const SinkOptions& options)
      : store_(options.memory_bytes_max, options.when_full), notice_(options.notice) {
    if (!options.output.empty()) file_ = std::make_unique<SpanFile>(options.output);
  }

  Status open() { return file_ == nullptr ? Status() : file_->open(); }
  Status problem() const { return file_ == nullptr ? Status() : file_->problem(); }
  SpanStore& store() { return store_; }

  /// The file comes first: what is refused there is not in memory either, so that a sender that
  /// tries again leaves no span twice.
  OtlpAnswer take(OtlpExport request) {
    if (file_ != nullptr) {
      OtlpAnswer answer = file_->write(request.batch);
      if (answer.grpc_code != 0) {
        store_.count_refused(telemetry::span_count(request.batch));
        tell_once(refusal_told_, "refuses spans: " + answer.message);
        return answer;
      }
    }
    const Status added = store_.add(std::move(request.batch));
    if (!added) {
      tell_once(refusal_told_, "refuses spans: " + added.error().message);
      return {.grpc_code = kResourceExhausted, .message = added.error().message};
    }
    if (store_.counters().dropped > 0) {
      tell_once(drop_told_, "drops its oldest traces: --memory is full");
    }
    return {};
  }

 private:
  void tell_once(std::atomic<bool>& told, const std::string& text) {
    if (!told.exchange(true)) notice_(text);
  }

  SpanStore store_;
  std::unique_ptr<SpanFile> file_;
  const std::function<void(const std::string&)> notice_;
  std::atomic<bool> refusal_told_{false};
  std::atomic<bool> drop_told_{false};
};

class SinkHandler final : public http::HttpHandler, public http::HttpObserver {
 public:
  explicit SinkHandler(Intake& intake) : intake_(intake) {}

  http::Admission admit(const http::HttpRequest& head) override {
    http::Admission admission;
    if (head.path != "/health") admission.place = http::Admission::Place::kWorker;
    return admission;
  }

  http::Reply handle(http::HttpRequest& request) override {
    return {answer(request), nullptr, request.path};
  }

  void on_response_start(const http::HttpExchange&) override {}
  void on_response_end(const http::HttpExchange&) override {}
  void on_problem(const http::HttpExchange&, const std::string&) override {}

 private:
  http::HttpResponse answer(const http::HttpRequest& request) {
    if (request.path == telemetry::kOtlpHttpTracesPath) {
      if (request.method != "POST") return refuse(405, "got " + request.method + ", expected POST");
      return telemetry::answer_otlp_http(
          request, [this](OtlpExport taken) { return intake_.take(std::move(taken)); });
    }
    if (request.method != "GET") return refuse(405, "got " + request.method + ", expected GET");
    if (request.path == "/health") return health();
    const http::Query query = http::Query::of_target(request.target);
    for (const auto& api : {answer_jaeger_v3, answer_jaeger_legacy, answer_spans}) {
      if (auto response = api(intake_.store(), request.path, query)) return *std::move(response);
    }
    return refuse(404, "no such path: " + request.path);
  }

  http::HttpResponse refuse(int status, const std::string& message) const {
    return json_response(status, {{"error", message}});
  }

  http::HttpResponse health() {
    const SpanStoreCounters counters = intake_.store().counters();
    const Status file = intake_.problem();
    nlohmann::json body = {{"status", file ? "ok" : "file refused spans"},
                           {"spans", counters.kept},
                           {"traces", counters.traces},
                           {"received", counters.received},
                           {"dropped", counters.dropped},
                           {"refused", counters.refused},
                           {"bytes", counters.bytes}};
    if (!file) body["problem"] = file.error().message;
    return json_response(file ? 200 : 503, body);
  }

  Intake& intake_;
};

class RunningSink final : public Sink {
 public:
  RunningSink(const SinkOptions& options, const Clock& clock)
      : options_(options), clock_(clock), intake_(options), handler_(intake_) {}
  ~RunningSink() override { (void)RunningSink::stop(); }

  Status start() {
    RETURN_IF_ERROR(intake_.open());
    const auto grpc = http::parse_listen_address("--grpc", options_.grpc);
    if (!grpc) return grpc.error();
    for (const std::string& text : options_.http) RETURN_IF_ERROR(listen(text));
    auto receiver = telemetry::OtlpReceiver::start(
        {.address = grpc->host, .port = grpc->port, .take = [this](OtlpExport request) {
           return intake_.take(std::move(request));
         }});
    if (!receiver) return std::move(receiver).error();
    receiver_ = *std::move(receiver);
    for (const auto& server : servers_) server->start();
    return {};
  }

  int grpc_port() const override { return receiver_->port(); }
  std::vector<uint16_t> http_ports() const override {
    std::vector<uint16_t> ports;
    for (const auto& server : servers_) ports.push_back(server->port());
    return ports;
  }
  SpanStoreCounters counters() const override { return intake_.store().counters(); }

  Status stop() override {
    if (receiver_ != nullptr) receiver_->stop();
    for (const auto& server : servers_) server->stop();
    return intake_.problem();
  }

 private:
  Status listen(const std::string& text) {
    const auto address = http::parse_listen_address("--http", text);
    if (!address) return address.error();
    http::HttpServerOptions options;
    options.host = address->host;
    options.port = address->port;
    servers_.push_back(std::make_unique<http::HttpServer>(options, clock_, handler_, handler_));
    return servers_.back()->listen();
  }

  const SinkOptions options_;
  const Clock& clock_;
  mutable Intake intake_;
  SinkHandler handler_;
  std::vector<std::unique_ptr<http::HttpServer>> servers_;
  std::unique_ptr<telemetry::OtlpReceiver> receiver_;  // last: its threads use the rest
};

}  // namespace

Result<std::unique_ptr<Sink>> Sink::start(const SinkOptions& options, const Clock& clock) {
  auto sink = std::make_unique<RunningSink>(options, clock);
  RETURN_IF_ERROR(sink->start());
  return std::unique_ptr<Sink>(std::move(sink));
}

}  // namespace touchstone::harness
