// One connection through a wire: two sockets and what is on its way between them, each way. Lives
// on the wire's thread. Thread-compatible.
#pragma once

#include <fcntl.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "base/clock.h"
#include "harness/wire/wire.h"

namespace touchstone::harness {

/// What the crossings of a wire share.
struct WireShared {
  const Clock& clock;
  WireFault fault = {};
  WireCounters counters = {};
};

class Crossing final : public std::enable_shared_from_this<Crossing> {
 public:
  Crossing(boost::asio::io_context& loop, boost::asio::ip::tcp::socket client, WireShared& shared);

  /// Connects to 127.0.0.1:`target` (0: to nobody) and passes on until both sides have ended.
  boost::asio::awaitable<void> run(uint16_t target);
  /// Both sides see a reset.
  void cut();
  bool over() const { return over_; }
  /// Programs that are started meanwhile do not get the socket: it would stay open in them.
  template <typename Socket>
  static void keep_from_children(Socket& socket) {
    ::fcntl(socket.native_handle(), F_SETFD, FD_CLOEXEC);
  }

 private:
  struct Piece {
    int64_t due_ns = 0;
    std::string bytes;
    bool last = false;  ///< the connection is reset behind it
  };
  struct Way {
    boost::asio::ip::tcp::socket* from;
    boost::asio::ip::tcp::socket* to;
    bool to_server;
    boost::asio::steady_timer changed;
    std::deque<Piece> pieces = {};
    size_t held_bytes = 0;
    bool ended = false;
  };

  boost::asio::awaitable<void> read(Way& way);
  boost::asio::awaitable<void> write(Way& way);
  boost::asio::awaitable<void> wait(Way& way);
  boost::asio::awaitable<void> pause_until(int64_t due_ns);
  Piece piece_of(Way& way, std::string bytes);
  void corrupt(std::string& bytes);

  WireShared& shared_;
  boost::asio::io_context& loop_;
  boost::asio::ip::tcp::socket client_;
  boost::asio::ip::tcp::socket server_;
  Way request_;
  Way answer_;
  int64_t passed_bytes_ = 0;   // both ways
  int64_t request_bytes_ = 0;  // to the server
  bool over_ = false;
};

}  // namespace touchstone::harness
