// Short names of Asio and Beast for the .cc files of coroutines.
#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

namespace touchstone {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace beast_http = boost::beast::http;
using asio::ip::tcp;
using beast::error_code;

/// Errors come as values beside the result.
inline constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

}  // namespace touchstone
