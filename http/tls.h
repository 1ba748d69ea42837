// TLS for clients, by OpenSSL: whom to trust, and streams that check who answers.
// Source: RFC 8446, RFC 6125 (names in certificates). Thread-compatible.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <memory>
#include <string>

#include "base/result.h"
#include "http/access.h"

namespace touchstone::http {

/// ERRORS: kInvalidArgument for a file that holds no certificates.
Result<std::shared_ptr<boost::asio::ssl::context>> make_client_tls(const TlsOptions& options);

using TlsStream = boost::asio::ssl::stream<boost::beast::tcp_stream&>;

/// A stream over `stream`, which outlives it, that will ask for `host` and demand its certificate.
std::unique_ptr<TlsStream> make_tls_stream(boost::beast::tcp_stream& stream,
                                           boost::asio::ssl::context& tls, const std::string& host);

}  // namespace touchstone::http
