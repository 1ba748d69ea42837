// An OpenAI-compatible server that refuses everything: what a gateway answers for a server that is
// overloaded or away. Own threads. Thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "base/clock.h"
#include "base/result.h"
#include "http/server.h"

namespace touchstone::harness {

class ErrorServer final : private http::HttpHandler, private http::HttpObserver {
 public:
  /// Answers with `status`, 429 or 503, on a free port of 127.0.0.1. `clock` outlives it. ERRORS:
  /// kUnavailable.
  static Result<std::unique_ptr<ErrorServer>> start(int status,
                                                    std::optional<int64_t> retry_after_ns,
                                                    const Clock& clock);
  /// For start().
  ErrorServer(int status, std::optional<int64_t> retry_after_ns, const Clock& clock);
  ~ErrorServer() override;

  uint16_t port() const { return server_.port(); }

 private:
  http::Admission admit(const http::HttpRequest& head) override;
  http::Reply handle(http::HttpRequest& request) override;
  void on_response_start(const http::HttpExchange&) override {}
  void on_response_end(const http::HttpExchange&) override {}
  void on_problem(const http::HttpExchange&, const std::string&) override {}

  const int status_;
  const std::optional<int64_t> retry_after_ns_;
  http::HttpServer server_;  // last: its threads use the rest
};

}  // namespace touchstone::harness
