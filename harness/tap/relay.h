// One client's connection through the tap: its requests one after another, each passed on as it
// comes, its answer passed back as it comes. Lives on the tap's I/O thread. Thread-compatible.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/random.h"
#include "harness/load/exchange.h"
#include "harness/tap/ledger_sink.h"
#include "harness/tap/tap.h"
#include "http/client_stream.h"

namespace touchstone::harness {

/// What the connections of a tap share.
struct TapShared {
  const TapOptions& options;
  const Clock& clock;
  boost::asio::io_context& loop;
  http::Url upstream;
  http::Endpoint endpoint;
  LedgerSink& ledger;
  http::ByteBudget& bodies;
  RandomStream ids;
  int64_t start_ns = 0;
  TapCounters counters = {};
  bool draining = false;
};

class Relay final : public std::enable_shared_from_this<Relay> {
 public:
  Relay(boost::asio::ip::tcp::socket socket, TapShared& shared);

  /// Until the client or the tap closes.
  boost::asio::awaitable<void> run();
  /// No exchange is under way.
  bool idle() const { return idle_; }
  void close();

 private:
  using RequestParser = boost::beast::http::request_parser<boost::beast::http::buffer_body>;
  using ResponseParser = boost::beast::http::response_parser<boost::beast::http::buffer_body>;
  using Error = boost::beast::error_code;

  /// One exchange that owes a span, for the ledger.
  struct Watched {
    records::LedgerEntry entry;
    std::string body;
    http::ByteBudget::Lease memory;
    ResponseReader reader;
    int64_t sent_ns = 0;
    bool body_kept = true;
    explicit Watched(http::ByteBudget& bodies)
        : memory(bodies), reader(entry, /*hang_up_after_chunks=*/-1, /*keep_text=*/false) {}
  };

  boost::asio::awaitable<bool> exchange(RequestParser& request);
  /// False: the answer was not passed on whole.
  boost::asio::awaitable<bool> pass_on(RequestParser& request, bool client_keeps);
  void prepare(boost::beast::http::request<boost::beast::http::buffer_body>& head);
  std::unique_ptr<Watched> watch(
      boost::beast::http::request<boost::beast::http::buffer_body>& head);
  boost::asio::awaitable<std::string> send_request(RequestParser& request);
  boost::asio::awaitable<std::string> return_response(bool head_only, int client_version,
                                                      bool& client_keeps);
  template <typename Stream>
  boost::asio::awaitable<std::string> forward_request(Stream& upstream, RequestParser& request);
  template <typename Stream>
  boost::asio::awaitable<std::string> forward_response(Stream& upstream, bool head_only,
                                                       int client_version, bool& client_keeps);
  /// 502 as the API's errors look, when nothing was sent to the client yet.
  boost::asio::awaitable<void> refuse(int status, const std::string& why);
  void watch_for_hang_up();
  void finish(const std::string& problem);
  void expect_client_within(int64_t timeout_ns);

  TapShared& shared_;
  boost::beast::tcp_stream client_;
  boost::beast::flat_buffer buffer_;
  std::unique_ptr<http::ClientStream> upstream_;
  std::unique_ptr<Watched> watched_;
  bool idle_ = true;
  bool hung_up_ = false;       ///< the client went away while its answer was made
  bool answer_begun_ = false;  ///< a byte of the answer went to the client
  bool upstream_keeps_ = false;
};

}  // namespace touchstone::harness
