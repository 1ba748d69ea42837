// A real HTTP server for tests of clients, on Boost.Beast, one thread a connection. How it behaves
// is said by the prompt of the request: "whole", "stream", "cut" (breaks off in the middle of a
// stream), "silent" (never answers), "refuse", "drop" (closes without an answer), "garbage".
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace touchstone::harness {

class TinyServer final {
 public:
  /// Listens on a free port. `close_after_each`: answers with Connection: close.
  explicit TinyServer(bool close_after_each = false);
  /// Closes every connection and joins every thread.
  ~TinyServer();

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  uint16_t port() const { return port_; }
  int connections() const { return connections_; }
  int requests() const { return requests_; }
  /// Streams whose client went away before the end.
  int hang_ups() const { return hang_ups_; }
  /// The `traceparent` headers that came, in order of arrival.
  std::vector<std::string> trace_parents();
  std::vector<std::string> bodies();

 private:
  struct Socket;
  void accept_all();
  void serve(const std::shared_ptr<Socket>& socket);

  struct Listener;
  std::unique_ptr<Listener> listener_;
  const bool close_after_each_;
  uint16_t port_ = 0;
  std::atomic<int> connections_ = 0;
  std::atomic<int> requests_ = 0;
  std::atomic<int> hang_ups_ = 0;
  std::mutex mutex_;
  std::vector<std::string> trace_parents_;
  std::vector<std::string> bodies_;
  std::vector<std::shared_ptr<Socket>> sockets_;
  std::vector<std::thread> threads_;
  std::thread acceptor_;
  bool stopping_ = false;
};

}  // namespace touchstone::harness
