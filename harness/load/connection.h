// One connection of the load generator: requests and their responses, read into ledger entries.
// Thread-compatible.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/beast/http.hpp>
#include <cstdint>
#include <string>

#include "base/clock.h"
#include "harness/load/exchange.h"
#include "http/client_stream.h"

namespace touchstone::harness {

class Connection final {
 public:
  using Message = boost::beast::http::request<boost::beast::http::string_body>;

  /// `endpoint` outlives this.
  Connection(boost::asio::io_context& loop, const http::Endpoint& endpoint)
      : stream_(loop, endpoint) {}

  /// One request and its response, connecting first where needed; what went wrong on the way, or ""
  /// (also after a hang-up). `sent_ns`: when sending began, on `clock`. `read_pause_ns`: before
  /// each further read; with one, little is taken that was not read.
  boost::asio::awaitable<std::string> exchange(const Message& message, ResponseReader& reader,
                                               const Clock& clock, int64_t sent_ns,
                                               int64_t read_pause_ns = 0);
  /// The last response allows another request.
  bool can_be_kept() const { return keep_alive_; }
  http::ClientStream& stream() { return stream_; }

 private:
  template <typename Stream>
  boost::asio::awaitable<std::string> talk(Stream& stream, const Message& message,
                                           ResponseReader& reader, const Clock& clock,
                                           int64_t sent_ns, int64_t read_pause_ns);

  http::ClientStream stream_;
  bool keep_alive_ = false;
};

}  // namespace touchstone::harness
