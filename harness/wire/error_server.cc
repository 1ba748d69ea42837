#include "harness/wire/error_server.h"

#include <nlohmann/json.hpp>

namespace touchstone::harness {
namespace {

constexpr int kTooMany = 429;

}  // namespace

ErrorServer::ErrorServer(int status, std::optional<int64_t> retry_after_ns, const Clock& clock)
    : status_(status),
      retry_after_ns_(retry_after_ns),
      server_({.host = "127.0.0.1", .port = 0}, clock, *this, *this) {}

ErrorServer::~ErrorServer() { server_.stop(); }

Result<std::unique_ptr<ErrorServer>> ErrorServer::start(int status,
                                                        std::optional<int64_t> retry_after_ns,
                                                        const Clock& clock) {
  auto server = std::make_unique<ErrorServer>(status, retry_after_ns, clock);
  RETURN_IF_ERROR(server->server_.listen());
  server->server_.start();
  return server;
}

http::Admission ErrorServer::admit(const http::HttpRequest&) { return {}; }

http::Reply ErrorServer::handle(http::HttpRequest&) {
  const bool too_many = status_ == kTooMany;
  const nlohmann::ordered_json body = {
      {"error",
       {{"message", too_many ? "Too many requests" : "The server is unavailable"},
        {"type", too_many ? "TooManyRequests" : "ServiceUnavailableError"},
        {"param", nullptr},
        {"code", status_}}}};
  http::Reply reply;
  reply.response = {
      .status = status_, .content_type = "application/json", .headers = {}, .body = body.dump()};
  if (retry_after_ns_) {
    const int64_t seconds = (*retry_after_ns_ + kNsPerSecond - 1) / kNsPerSecond;
    reply.response.headers.emplace_back("retry-after", std::to_string(seconds));
  }
  return reply;
}

}  // namespace touchstone::harness
