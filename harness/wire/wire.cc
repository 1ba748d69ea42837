#include "harness/wire/wire.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <future>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>

#include "harness/wire/crossing.h"
#include "http/asio_names.h"

namespace touchstone::harness {
namespace {

/// Until the next try when no connection could be accepted.
constexpr auto kAcceptPause = std::chrono::milliseconds(100);

}  // namespace

class Wire::Impl final {
 public:
  explicit Impl(const Clock& clock) : shared_{clock}, busy_(asio::make_work_guard(loop_)) {}
  ~Impl() {
    loop_.stop();
    if (thread_.joinable()) thread_.join();
  }

  Status start(const std::vector<uint16_t>& ports) {
    for (const uint16_t port : ports) {
      lanes_.push_back(std::make_unique<Lane>(Lane{port, 0, {}}));
      RETURN_IF_ERROR(listen(*lanes_.back()));
    }
    thread_ = std::thread([this] { loop_.run(); });
    return {};
  }

  template <typename Action>
  auto on_loop(Action action) {
    std::packaged_task<decltype(action())()> task(std::move(action));
    auto done = task.get_future();
    asio::post(loop_, [&task] { task(); });
    return done.get();
  }

  void route(size_t lane, uint16_t target) {
    on_loop([this, lane, target] { lanes_.at(lane)->target = target; });
  }
  Status set(const WireFault& fault) {
    return on_loop([this, &fault] { return change(fault); });
  }
  WireCounters counters() {
    return on_loop([this] { return shared_.counters; });
  }

 private:
  struct Lane {
    uint16_t port;
    uint16_t target;
    std::unique_ptr<tcp::acceptor> acceptor;  ///< null: refuses
  };

  Status listen(Lane& lane) {
    auto acceptor = std::make_unique<tcp::acceptor>(loop_);
    const tcp::endpoint here(asio::ip::address_v4::loopback(), lane.port);
    error_code error;
    acceptor->open(here.protocol(), error);
    if (!error) acceptor->set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) Crossing::keep_from_children(*acceptor);
    if (!error) acceptor->bind(here, error);
    if (!error) acceptor->listen(asio::socket_base::max_listen_connections, error);
    if (error) {
      return unavailable("wire: 127.0.0.1:" + std::to_string(lane.port) + ": " + error.message());
    }
    lane.acceptor = std::move(acceptor);
    asio::co_spawn(loop_, accept(lane), [](const std::exception_ptr&) {});
    return {};
  }

  asio::awaitable<void> accept(Lane& lane) {
    tcp::acceptor* const acceptor = lane.acceptor.get();
    for (;;) {
      auto [error, socket] = co_await acceptor->async_accept(kAwait);
      if (error == asio::error::operation_aborted) co_return;
      if (error) {
        asio::steady_timer timer(loop_);
        timer.expires_after(kAcceptPause);
        co_await timer.async_wait(kAwait);
        if (lane.acceptor.get() != acceptor) co_return;
        continue;
      }
      ++shared_.counters.connections;
      auto crossing = std::make_shared<Crossing>(loop_, std::move(socket), shared_);
      std::erase_if(crossings_,
                    [](const auto& one) { return one.expired() || one.lock()->over(); });
      crossings_.insert(crossing);
      const uint16_t diverted = shared_.fault.divert_port;
      asio::co_spawn(loop_, crossing->run(diverted != 0 ? diverted : lane.target),
                     [](const std::exception_ptr&) {});
    }
  }

  void cut_all() {
    for (const auto& weak : std::exchange(crossings_, {})) {
      if (const auto crossing = weak.lock()) crossing->cut();
    }
  }

  Status change(const WireFault& fault) {
    const WireFault former = std::exchange(shared_.fault, fault);
    // A peer that comes back knows nothing of its former connections.
    if (fault.refuse || (former.half_open && !fault.half_open) ||
        former.divert_port != fault.divert_port) {
      cut_all();
    }
    for (const auto& lane : lanes_) {
      if (fault.refuse && lane->acceptor != nullptr) {
        error_code ignored;
        lane->acceptor->close(ignored);
        closed_.push_back(std::exchange(lane->acceptor, nullptr));
      }
      if (!fault.refuse && lane->acceptor == nullptr) RETURN_IF_ERROR(listen(*lane));
    }
    return {};
  }

  WireShared shared_;
  asio::io_context loop_;
  asio::executor_work_guard<asio::io_context::executor_type> busy_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::vector<std::unique_ptr<tcp::acceptor>> closed_;  // their coroutines still look at them
  std::set<std::weak_ptr<Crossing>, std::owner_less<>> crossings_;
  std::thread thread_;
};

Wire::Wire(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Wire::~Wire() = default;

Result<std::unique_ptr<Wire>> Wire::start(const std::vector<uint16_t>& ports, const Clock& clock) {
  auto impl = std::make_unique<Impl>(clock);
  RETURN_IF_ERROR(impl->start(ports));
  return std::unique_ptr<Wire>(new Wire(std::move(impl)));  // NOLINT: private constructor
}

void Wire::route(size_t lane, uint16_t target) { impl_->route(lane, target); }
Status Wire::set(const WireFault& fault) { return impl_->set(fault); }
WireCounters Wire::counters() const { return impl_->counters(); }

}  // namespace touchstone::harness
