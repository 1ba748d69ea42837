#include "http/server.h"

#include <sys/resource.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
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
#include "http/listener.h"
#include "http/server_tls.h"

namespace touchstone::http {

namespace asio = boost::asio;
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
        listener_(io_, options_),
        back_off_(listener_.executor()),
        signals_(listener_.executor()),
        workers_(static_cast<size_t>(std::max(1, options.workers))) {}

  ~Impl() { stop(); }

  Status listen() {
    if (options_.tls) {
      auto tls = ServerTls::make(*options_.tls);
      if (!tls) return std::move(tls).error();
      tls_ = *std::move(tls);
    }
    return listener_.listen();
  }

  uint16_t port() const { return listener_.port(); }
  std::string address() const { return listener_.address(); }

  void start() {
    asio::co_spawn(listener_.executor(), accept(), asio::detached);
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
    asio::post(listener_.executor(), [this] { listener_.close(); });
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
  asio::awaitable<void> accept() {
    int64_t back_off_ns = kAcceptBackOffMinNs;
    for (;;) {
      ServerStream::Socket socket(asio::make_strand(io_));
      const auto [error] = co_await listener_.accept(socket);
      if (!listener_.is_open()) co_return;
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

  void serve(ServerStream::Socket socket) {
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
        ServerStream(std::move(socket), tls_context()),
        ConnectionContext{options_, clock_, handler_, observer_, workers_, budget_, tls_.get()},
        [this, number] { forget(number); });
    {
      const MutexLock lock(mutex_);
      connections_[number] = connection;
    }
    if (draining) connection->drain();
    const auto executor = connection->executor();
    asio::co_spawn(executor, refused ? connection->turn_away() : connection->run(), asio::detached);
  }

  ServerTls::Context tls_context() {
    if (!tls_) return nullptr;
    return tls_->context(clock_.monotonic_ns(), [this](const std::string& why) {
      observer_.on_problem({.client = "TLS", .route = {}, .method = {}, .target = {}}, why);
    });
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
  std::unique_ptr<ServerTls> tls_;

  Mutex mutex_;
  std::map<uint64_t, std::weak_ptr<Connection>> connections_ GUARDED_BY(mutex_);
  uint64_t next_connection_ GUARDED_BY(mutex_) = 0;
  bool draining_ GUARDED_BY(mutex_) = false;
  std::function<void()> on_drained_ GUARDED_BY(mutex_);

  // After what connections refer to: destroying it destroys the handlers that still wait.
  asio::io_context io_;
  Listener listener_;
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
std::string HttpServer::address() const { return impl_->address(); }
void HttpServer::start() { impl_->start(); }
void HttpServer::watch_signals(std::function<void(int)> on_signal) {
  impl_->watch_signals(std::move(on_signal));
}
void HttpServer::drain(std::function<void()> on_drained) { impl_->drain(std::move(on_drained)); }
void HttpServer::stop() { impl_->stop(); }

}  // namespace touchstone::http
