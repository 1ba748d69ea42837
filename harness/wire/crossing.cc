#include "harness/wire/crossing.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <chrono>
#include <utility>

#include "http/asio_names.h"

namespace touchstone::harness {
namespace {

constexpr size_t kPieceBytes = 16 * 1024;
/// On its way in one direction; beyond it the sender waits, as it would for a full socket.
constexpr size_t kHeldBytesMax = 4 * 1024 * 1024;
/// With a limited rate so much is written at a time, so that the rate holds from moment to moment.
constexpr int64_t kSliceNs = 20 * kNsPerMs;

}  // namespace

Crossing::Crossing(asio::io_context& loop, tcp::socket client, WireShared& shared)
    : shared_(shared),
      loop_(loop),
      client_(std::move(client)),
      server_(loop),
      request_{&client_, &server_, true, asio::steady_timer(loop)},
      answer_{&server_, &client_, false, asio::steady_timer(loop)} {}

void Crossing::cut() {
  if (std::exchange(over_, true)) return;
  ++shared_.counters.cut;
  error_code ignored;
  for (tcp::socket* socket : {&client_, &server_}) {
    if (!socket->is_open()) continue;
    socket->set_option(asio::socket_base::linger(true, 0), ignored);
    socket->close(ignored);
  }
  request_.changed.cancel();
  answer_.changed.cancel();
}

asio::awaitable<void> Crossing::run(uint16_t target) {
  const auto self = shared_from_this();
  error_code ignored;
  client_.set_option(tcp::no_delay(true), ignored);
  keep_from_children(client_);
  if (!shared_.fault.half_open) {
    const tcp::endpoint there(asio::ip::address_v4::loopback(), target);
    server_.open(there.protocol(), ignored);
    keep_from_children(server_);
    const auto [error] = co_await server_.async_connect(there, kAwait);
    if (error || over_) {
      cut();
      co_return;
    }
    server_.set_option(tcp::no_delay(true), ignored);
    for (Way* way : {&request_, &answer_}) {
      asio::co_spawn(loop_, write(*way), asio::detached);
    }
    asio::co_spawn(loop_, read(answer_), asio::detached);
  }
  co_await read(request_);
}

asio::awaitable<void> Crossing::wait(Way& way) {
  way.changed.expires_at(asio::steady_timer::time_point::max());
  co_await way.changed.async_wait(kAwait);
}

asio::awaitable<void> Crossing::pause_until(int64_t due_ns) {
  asio::steady_timer timer(loop_);
  timer.expires_after(std::chrono::nanoseconds(due_ns - shared_.clock.monotonic_ns()));
  co_await timer.async_wait(kAwait);
}

void Crossing::corrupt(std::string& bytes) {
  const int64_t every = shared_.fault.corrupt_every_bytes;
  const int64_t before = std::exchange(request_bytes_, request_bytes_ + std::ssize(bytes));
  if (every <= 0) return;
  for (int64_t at = every - 1 - before % every; at < std::ssize(bytes); at += every) {
    bytes[static_cast<size_t>(at)] = static_cast<char>(~bytes[static_cast<size_t>(at)]);
    ++shared_.counters.corrupted_bytes;
  }
}

Crossing::Piece Crossing::piece_of(Way& way, std::string bytes) {
  const int64_t limit = shared_.fault.reset_after_bytes;
  Piece piece{.due_ns = shared_.clock.monotonic_ns() + shared_.fault.latency_ns, .bytes = {}};
  if (limit > 0 && passed_bytes_ + std::ssize(bytes) >= limit) {
    bytes.resize(static_cast<size_t>(std::max<int64_t>(0, limit - passed_bytes_)));
    piece.last = true;
  }
  passed_bytes_ += std::ssize(bytes);
  if (way.to_server) corrupt(bytes);
  piece.bytes = std::move(bytes);
  return piece;
}

asio::awaitable<void> Crossing::read(Way& way) {
  const auto self = shared_from_this();
  std::string buffer(kPieceBytes, '\0');
  for (;;) {
    const auto [error, count] = co_await way.from->async_read_some(asio::buffer(buffer), kAwait);
    if (over_) co_return;
    if (shared_.fault.half_open) {
      if (!error) continue;
      // Who gives up is not heard of on the other side.
      error_code ignored;
      way.from->shutdown(tcp::socket::shutdown_receive, ignored);
      if (!server_.is_open()) cut();
      co_return;
    }
    if (error && error != asio::error::eof) {
      cut();
      co_return;
    }
    if (error) {
      way.ended = true;
    } else {
      way.pieces.push_back(piece_of(way, buffer.substr(0, count)));
      way.held_bytes += way.pieces.back().bytes.size();
    }
    way.changed.cancel();
    if (error || way.pieces.back().last) co_return;
    while (way.held_bytes > kHeldBytesMax && !over_) co_await wait(way);
    if (over_) co_return;
  }
}

asio::awaitable<void> Crossing::write(Way& way) {
  const auto self = shared_from_this();
  int64_t free_ns = 0;  // when the rate allows the next byte
  while (!over_) {
    if (way.pieces.empty()) {
      if (way.ended) break;
      co_await wait(way);
      continue;
    }
    Piece& piece = way.pieces.front();
    const int64_t rate = shared_.fault.bytes_per_s;
    const int64_t now = shared_.clock.monotonic_ns();
    const int64_t due_ns = rate > 0 ? std::max(piece.due_ns, free_ns) : piece.due_ns;
    if (due_ns > now) {
      co_await pause_until(due_ns);
      continue;  // the fault may be another one by now
    }
    size_t count = piece.bytes.size();
    if (rate > 0) {
      const auto slice = std::max<int64_t>(1, rate * kSliceNs / kNsPerSecond);
      count = std::min(count, static_cast<size_t>(slice));
      free_ns = now + static_cast<int64_t>(count) * kNsPerSecond / rate;
    }
    const std::string slice = piece.bytes.substr(0, count);
    const auto [error, written] = co_await asio::async_write(*way.to, asio::buffer(slice), kAwait);
    if (over_) co_return;
    if (error) {
      cut();
      co_return;
    }
    piece.bytes.erase(0, written);
    way.held_bytes -= written;
    way.changed.cancel();
    if (!piece.bytes.empty()) continue;
    if (piece.last) {
      cut();
      co_return;
    }
    way.pieces.pop_front();
  }
  if (over_) co_return;
  error_code ignored;
  way.to->shutdown(tcp::socket::shutdown_send, ignored);
  if (request_.ended && answer_.ended && request_.pieces.empty() && answer_.pieces.empty()) {
    over_ = true;
    client_.close(ignored);
    server_.close(ignored);
  }
}

}  // namespace touchstone::harness
