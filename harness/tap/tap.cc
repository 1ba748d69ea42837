#include "harness/tap/tap.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <future>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include "base/text.h"
#include "harness/tap/relay.h"
#include "http/asio_names.h"
#include "http/listen_address.h"

namespace touchstone::harness {
namespace {

/// For relays that were closed to write their last words.
constexpr int64_t kLastWordsNs = kNsPerSecond;
/// Until the next try when no connection could be accepted.
constexpr auto kAcceptPause = std::chrono::milliseconds(100);

}  // namespace

class Tap::Impl final {
 public:
  Impl(TapOptions options, const Clock& clock)
      : options_(std::move(options)),
        clock_(clock),
        bodies_(options_.bodies_max_bytes),
        ledger_(options_.ledger, options_.notice),
        acceptor_(loop_) {}

  ~Impl() {
    loop_.stop();
    if (thread_.joinable()) thread_.join();
  }

  Status start() {
    auto upstream = http::parse_url(options_.upstream);
    if (!upstream) return Error(upstream.error()).with_context("--upstream");
    auto endpoint = http::resolve_endpoint(*upstream, options_.tls);
    if (!endpoint) return Error(endpoint.error()).with_context("--upstream");
    RETURN_IF_ERROR(listen());
    RETURN_IF_ERROR(ledger_.start());
    shared_.emplace(TapShared{
        options_, clock_, loop_, std::move(*upstream), std::move(*endpoint), ledger_, bodies_,
        RandomStream(static_cast<uint64_t>(clock_.unix_ns()), "tap"), clock_.monotonic_ns()});
    asio::co_spawn(loop_, accept(), [](const std::exception_ptr&) {});
    thread_ = std::thread([this] { loop_.run(); });
    return {};
  }

  uint16_t port() const { return port_; }
  void reopen_ledger() { ledger_.reopen(); }

  TapCounters stop(int64_t drain_ns) {
    asio::post(loop_, [this] { drain(); });
    std::future<void> drained = drained_.get_future();
    if (drained.wait_for(std::chrono::nanoseconds(drain_ns)) != std::future_status::ready) {
      asio::post(loop_, [this] {
        for (const auto& relay : std::set(relays_)) relay->close();
      });
      drained.wait_for(std::chrono::nanoseconds(kLastWordsNs));
    }
    loop_.stop();
    thread_.join();
    const LedgerSink::Counters written = ledger_.finish();
    TapCounters counters = shared_->counters;
    counters.written = written.written;
    counters.lost = written.lost;
    return counters;
  }

 private:
  Status listen() {
    const auto address = http::parse_listen_address("--listen", options_.listen);
    if (!address) return address.error();
    error_code error;
    tcp::resolver resolver(loop_);
    const auto found = resolver.resolve(address->host, std::to_string(address->port),
                                        tcp::resolver::passive, error);
    if (!error) {
      const tcp::endpoint endpoint = found.begin()->endpoint();
      acceptor_.open(endpoint.protocol(), error);
      if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
      if (!error) acceptor_.bind(endpoint, error);
      if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
      if (!error) port_ = acceptor_.local_endpoint(error).port();
    }
    if (error) {
      return Error{
          ErrorCode::kUnavailable, "--listen " + options_.listen + ": " + error.message(), {}};
    }
    return {};
  }

  asio::awaitable<void> accept() {
    asio::steady_timer pause(loop_);
    while (acceptor_.is_open()) {
      auto [error, socket] = co_await acceptor_.async_accept(kAwait);
      if (error == asio::error::operation_aborted) break;
      if (error) {  // out of descriptors, say: those in use go on
        pause.expires_after(kAcceptPause);
        co_await pause.async_wait(kAwait);
        continue;
      }
      if (static_cast<int64_t>(relays_.size()) >= options_.connections_max) continue;
      const auto relay = std::make_shared<Relay>(std::move(socket), *shared_);
      relays_.insert(relay);
      asio::co_spawn(loop_, relay->run(), [this, relay](const std::exception_ptr&) {
        relays_.erase(relay);
        tell_when_drained();
      });
    }
  }

  void drain() {
    shared_->draining = true;
    error_code ignored;
    acceptor_.close(ignored);
    for (const auto& relay : std::set(relays_)) {
      if (relay->idle()) relay->close();
    }
    tell_when_drained();
  }

  void tell_when_drained() {
    if (shared_->draining && relays_.empty() && !std::exchange(told_, true)) drained_.set_value();
  }

  const TapOptions options_;
  const Clock& clock_;
  http::ByteBudget bodies_;
  LedgerSink ledger_;
  asio::io_context loop_{1};
  tcp::acceptor acceptor_;
  uint16_t port_ = 0;
  // Of the I/O thread, once it runs.
  std::optional<TapShared> shared_;
  std::set<std::shared_ptr<Relay>> relays_;
  bool told_ = false;
  std::promise<void> drained_;
  std::thread thread_;
};

Result<std::unique_ptr<Tap>> Tap::start(TapOptions options, const Clock& clock) {
  auto impl = std::make_unique<Impl>(std::move(options), clock);
  RETURN_IF_ERROR(impl->start());
  return std::unique_ptr<Tap>(new Tap(std::move(impl)));
}

Tap::Tap(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Tap::~Tap() = default;
uint16_t Tap::port() const { return impl_->port(); }
void Tap::reopen_ledger() { impl_->reopen_ledger(); }
TapCounters Tap::stop(int64_t drain_ns) { return impl_->stop(drain_ns); }

}  // namespace touchstone::harness
