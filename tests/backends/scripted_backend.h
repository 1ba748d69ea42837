// A backend that a test scripts: an HTTP server that answers by a function, which several threads
// call. Thread-safe.
#pragma once

#include <functional>
#include <string>

#include "base/check.h"
#include "base/clock.h"
#include "http/query.h"
#include "http/server.h"

namespace touchstone::harness {

class ScriptedBackend final : private http::HttpHandler, private http::HttpObserver {
 public:
  using Answer = std::function<http::HttpResponse(const http::HttpRequest&, const http::Query&)>;
  explicit ScriptedBackend(Answer answer)
      : answer_(std::move(answer)),
        server_({.host = "127.0.0.1", .port = 0}, clock_, *this, *this) {
    BASE_CHECK(server_.listen().has_value());
    server_.start();
  }
  ~ScriptedBackend() override { server_.stop(); }

  std::string url() const { return "http://127.0.0.1:" + std::to_string(server_.port()); }

 private:
  http::Admission admit(const http::HttpRequest&) override { return {}; }
  http::Reply handle(http::HttpRequest& request) override {
    return {answer_(request, http::Query::of_target(request.target)), nullptr, request.path};
  }
  void on_response_start(const http::HttpExchange&) override {}
  void on_response_end(const http::HttpExchange&) override {}
  void on_problem(const http::HttpExchange&, const std::string&) override {}

  const RealClock clock_;
  const Answer answer_;
  http::HttpServer server_;  // last: its threads use the rest
};

}  // namespace touchstone::harness
