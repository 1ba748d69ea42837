#include "http/server.h"

#include <sys/resource.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <csignal>
#include <map>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "http/connection.h"

namespace touchstone::http {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {
constexpr int64_t kAcceptBackOffMinNs = kNsPerMs;
constexpr int64_t kAcceptBackOffMaxNs = kNsPerSecond;
// Connections being told, at one time, that there are too many.
constexpr size_t kRefusalsMax = 256;
}  // namespace

class HttpServer::Impl {
 public:
  Impl(const HttpServerOptions& options, const Clock& clock, HttpHandler& handler,
       HttpObserver& observer)
      : options_(options),
        clock_(clock),
        handler_(handler),
        observer_(observer),
        budget_(options.max_request_memory_bytes),
        io_(std::max(1, options.threads)),
        acceptor_(asio::make_strand(io_)),
        back_off_(acceptor_.get_executor()),
        signals_(acceptor_.get_executor()),
        workers_(static_cast<size_t>(std::max(1, options.workers))) {}

  ~Impl() { stop(); }

  Status listen() {
    error_code error;
    std::vector<tcp::endpoint> candidates;
    if (options_.host.empty()) {
      candidates = {{tcp::v6(), options_.port}, {tcp::v4(), options_.port}};
    } else {
      tcp::resolver resolver(io_);
      const auto found = resolver.resolve(options_.host, std::to_string(options_.port),
                                          tcp::resolver::passive, error);
      if (error) return bind_error(error);
      for (const auto& entry : found) candidates.push_back(entry.endpoint());
    }
    for (const tcp::endpoint& endpoint : candidates) {
      error = open(endpoint);
      if (!error) return {};
      // Only an address family that this machine lacks is a reason to try the next.
      if (error != asio::error::address_family_not_supported &&
          error != error_code(EADDRNOTAVAIL, boost::system::system_category())) {
        break;
      }
    }
    return bind_error(error);
  }

  uint16_t port() const { return acceptor_.local_endpoint().port(); }

  void start() {
    asio::co_spawn(acceptor_.get_executor(), accept(), asio::detached);
    for (int i = 0; i < std::max(1, options_.threads); ++i) {
      threads_.emplace_back([this] { run_io(); });
    }
  }

  void watch_signals(std::function<void(int)> on_signal) {
    error_code ignored;
    signals_.add(SIGTERM, ignored);
    signals_.add(SIGINT, ignored);
    wait_for_signal(std::move(on_signal));
  }

  void drain(std::function<void()> on_drained) {
    asio::post(acceptor_.get_executor(), [this] {
      error_code ignored;
      acceptor_.close(ignored);
    });
    std::vector<std::shared_ptr<Connection>> open;  // let go of without the lock: see forget()
    {
      const MutexLock lock(mutex_);
      draining_ = true;
      on_drained_ = std::move(on_drained);
      for (const auto& [number, weak] : connections_) {
        if (auto connection = weak.lock()) open.push_back(std::move(connection));
      }
      if (connections_.empty()) on_drained_();
    }
    for (const auto& connection : open) connection->drain();
  }

  void stop() {
    io_.stop();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
    workers_.stop();
    workers_.join();
  }

 private:
  error_code open(const tcp::endpoint& endpoint) {
    error_code error;
    acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(asio::socket_base::reuse_address(true), error);
    if (!error && options_.host.empty() && endpoint.protocol() == tcp::v6()) {
      acceptor_.set_option(asio::ip::v6_only(false), error);
    }
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (error) {
      error_code ignored;
      acceptor_.close(ignored);
    }
    return error;
  }

  Error bind_error(const error_code& error) const {
    const std::string where =
        (options_.host.empty() ? "*" : options_.host) + ":" + std::to_string(options_.port);
    std::string hint;
    if (error == asio::error::address_in_use) {
      hint = "another program listens on port " + std::to_string(options_.port) +
             "; choose a different --port, or 0 for any free one";
    }
    return unavailable("cannot listen on " + where + ": " + error.message(), std::move(hint));
  }

  asio::awaitable<void> accept() {
    int64_t back_off_ns = kAcceptBackOffMinNs;
    for (;;) {
      tcp::socket socket(asio::make_strand(io_));
      const auto [error] =
          co_await acceptor_.async_accept(socket, asio::as_tuple(asio::use_awaitable));
      if (!acceptor_.is_open()) co_return;
      if (error) {
        // Out of descriptors, say: those that are open must get on before another is taken.
        back_off_.expires_after(std::chrono::nanoseconds(back_off_ns));
        back_off_ns = std::min(back_off_ns * 2, kAcceptBackOffMaxNs);
        co_await back_off_.async_wait(asio::as_tuple(asio::use_awaitable));
        continue;
      }
      back_off_ns = kAcceptBackOffMinNs;
      serve(std::move(socket));
    }
  }

  void serve(tcp::socket socket) {
    std::shared_ptr<Connection> connection;
    uint64_t number = 0;
    bool refused = false;
    bool draining = false;
    {
      const MutexLock lock(mutex_);
      if (connections_.size() >= options_.max_connections + kRefusalsMax) return;  // just closed
      refused = connections_.size() >= options_.max_connections;
      number = next_connection_++;
      draining = draining_;
      connections_.emplace(number, std::weak_ptr<Connection>());
    }
    connection = std::make_shared<Connection>(
        std::move(socket),
        ConnectionContext{options_, clock_, handler_, observer_, workers_, budget_},
        [this, number] { forget(number); });
    {
      const MutexLock lock(mutex_);
      connections_[number] = connection;
    }
    if (draining) connection->drain();
    const auto executor = connection->executor();
    asio::co_spawn(executor, refused ? connection->turn_away() : connection->run(), asio::detached);
  }

  /// A connection has ended, in whichever way.
  void forget(uint64_t number) {
    const MutexLock lock(mutex_);
    connections_.erase(number);
    if (draining_ && connections_.empty() && on_drained_) on_drained_();
  }

  /// Nothing that a connection does may end the server: what a library throws out of an operation
  /// ends that operation, whose coroutine is destroyed with it.
  void run_io() {
    for (;;) {
      try {
        io_.run();
        return;
      } catch (const std::exception& problem) {
        observer_.on_problem({.client = "unknown", .route = {}, .method = {}, .target = {}},
                             problem.what());
      }
    }
  }

  void wait_for_signal(std::function<void(int)> on_signal) {
    signals_.async_wait([this, on_signal = std::move(on_signal)](error_code error, int signal) {
      if (error) return;
      on_signal(signal);
      wait_for_signal(on_signal);
    });
  }

  const HttpServerOptions options_;
  const Clock& clock_;
  HttpHandler& handler_;
  HttpObserver& observer_;
  ByteBudget budget_;

  Mutex mutex_;
  std::map<uint64_t, std::weak_ptr<Connection>> connections_ GUARDED_BY(mutex_);
  uint64_t next_connection_ GUARDED_BY(mutex_) = 0;
  bool draining_ GUARDED_BY(mutex_) = false;
  std::function<void()> on_drained_ GUARDED_BY(mutex_);

  // After what connections refer to: destroying it destroys the handlers that still wait.
  asio::io_context io_;
  tcp::acceptor acceptor_;
  asio::steady_timer back_off_;
  asio::signal_set signals_;
  asio::thread_pool workers_;  // destroyed first: what it has queued belongs to connections
  std::vector<std::thread> threads_;
};

void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
  }
}

HttpServer::HttpServer(const HttpServerOptions& options, const Clock& clock, HttpHandler& handler,
                       HttpObserver& observer)
    : impl_(std::make_unique<Impl>(options, clock, handler, observer)) {}
HttpServer::~HttpServer() = default;
Status HttpServer::listen() { return impl_->listen(); }
uint16_t HttpServer::port() const { return impl_->port(); }
void HttpServer::start() { impl_->start(); }
void HttpServer::watch_signals(std::function<void(int)> on_signal) {
  impl_->watch_signals(std::move(on_signal));
}
void HttpServer::drain(std::function<void()> on_drained) { impl_->drain(std::move(on_drained)); }
void HttpServer::stop() { impl_->stop(); }

}  // namespace touchstone::http
