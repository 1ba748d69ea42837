// What a server says while it serves: one access line per answer, as uvicorn writes them under
// vLLM, and warnings, each kind at most once in ten seconds. Lines are handed to a thread of their
// own, so that a reader of stderr that stalls holds up no request, nor the end of the server; what
// does not fit the queue, or is still there a second after the end, is counted instead.
// Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "http/http.h"

namespace touchstone::server {

struct ServerLogOptions {
  bool access = true;  ///< off: --disable-uvicorn-access-log
  /// Paths without an access line, --disable-access-log-for-endpoints.
  std::vector<std::string> quiet_paths = {};
};

class ServerLog final : public http::HttpObserver {
 public:
  /// False: there is no room now, and nothing was written. Returns soon, in any case.
  using Write = std::function<bool(const std::string& line)>;

  /// `clock` and `write` outlive it. `write` is called on the log's own thread. `look` is called
  /// there once a second: who has to be asked whether something is wrong.
  ServerLog(
      const ServerLogOptions& options, const Clock& clock, const Write& write,
      std::function<void()> look = [] {});
  /// Writes what is queued, for at most a second.
  ~ServerLog() override;

  /// `kind`: warnings of one kind are one every ten seconds, with the number of those left out.
  void warn(const std::string& kind, const std::string& text);

  void on_response_start(const http::HttpExchange& exchange) override;
  void on_response_end(const http::HttpExchange&) override {}
  void on_problem(const http::HttpExchange& exchange, const std::string& why) override;

 private:
  struct Kind {
    int64_t last_ns = 0;
    int64_t left_out = 0;
  };
  void add(std::string line) REQUIRES(mutex_);
  void run();
  bool write_in_time(const std::string& line);

  const ServerLogOptions options_;
  const Clock& clock_;
  const Write& write_;
  const std::function<void()> look_;
  Mutex mutex_;
  ConditionVariable changed_;
  std::vector<std::string> lines_ GUARDED_BY(mutex_);
  int64_t dropped_ GUARDED_BY(mutex_) = 0;
  std::map<std::string, Kind> kinds_ GUARDED_BY(mutex_);
  bool ended_ GUARDED_BY(mutex_) = false;
  int64_t ended_ns_ GUARDED_BY(mutex_) = 0;
  std::thread thread_;
};

/// `INFO:     127.0.0.1:51234 - "GET /health HTTP/1.1" 200 OK`. Source: uvicorn's AccessFormatter.
std::string access_line(const http::HttpExchange& exchange);

}  // namespace touchstone::server
