#include "http/listener.h"

#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstring>
#include <filesystem>
#include <vector>

namespace touchstone::http {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using asio::local::stream_protocol;

/// The file of a socket that nobody listens on any more.
bool is_left_over(asio::io_context& io, const std::string& path) {
  std::error_code ignored;
  if (!std::filesystem::is_socket(path, ignored)) return false;
  stream_protocol::socket socket(io);
  boost::system::error_code error;
  socket.connect(stream_protocol::endpoint(path), error);
  return error == asio::error::connection_refused;
}

/// An endpoint of a known family out of a generic one.
template <typename Endpoint, typename Generic>
Endpoint endpoint_of(const Generic& generic) {
  Endpoint endpoint;
  std::memcpy(endpoint.data(), generic.data(), std::min(generic.size(), endpoint.capacity()));
  return endpoint;
}

bool is_ip(const asio::generic::stream_protocol::endpoint& endpoint) {
  const int family = endpoint.protocol().family();
  return family == AF_INET || family == AF_INET6;
}

}  // namespace

std::string peer_address(const ServerStream::Socket& socket) {
  boost::system::error_code error;
  const auto generic = socket.remote_endpoint(error);
  if (error) return "unknown";
  if (!is_ip(generic)) return "unix";
  const auto endpoint = endpoint_of<tcp::endpoint>(generic);
  std::string address = endpoint.address().to_string();
  if (address.starts_with("::ffff:")) address.erase(0, 7);  // IPv4 on a socket of both
  return address + ":" + std::to_string(endpoint.port());
}

Listener::Listener(asio::io_context& io, const HttpServerOptions& options)
    : io_(io), options_(options), acceptor_(asio::make_strand(io)) {}

Listener::~Listener() {
  if (owns_file_) ::unlink(options_.uds.c_str());
}

Status Listener::listen() { return options_.uds.empty() ? listen_tcp() : listen_unix(); }

Status Listener::listen_tcp() {
  const std::string where =
      (options_.host.empty() ? "*" : options_.host) + ":" + std::to_string(options_.port);
  error_code error;
  std::vector<tcp::endpoint> candidates;
  if (options_.host.empty()) {
    candidates = {{tcp::v6(), options_.port}, {tcp::v4(), options_.port}};
  } else {
    tcp::resolver resolver(io_);
    const auto found = resolver.resolve(options_.host, std::to_string(options_.port),
                                        tcp::resolver::passive, error);
    if (error) return error_of(where, error, "");
    for (const auto& entry : found) candidates.push_back(entry.endpoint());
  }
  for (const tcp::endpoint& endpoint : candidates) {
    error = bind(endpoint);
    if (!error) return {};
    // Only an address family that this machine lacks is a reason to try the next.
    if (error != asio::error::address_family_not_supported &&
        error != error_code(EADDRNOTAVAIL, boost::system::system_category())) {
      break;
    }
  }
  const bool taken = error == asio::error::address_in_use;
  return error_of(where, error,
                  taken ? "another program listens on port " + std::to_string(options_.port) +
                              "; choose a different --port, or 0 for any free one"
                        : "");
}

Status Listener::listen_unix() {
  const std::string where = "unix:" + options_.uds;
  if (options_.uds.size() >= sizeof(sockaddr_un::sun_path)) {
    return invalid_argument("--uds: got a path of " + std::to_string(options_.uds.size()) +
                            " bytes, expected fewer than " +
                            std::to_string(sizeof(sockaddr_un::sun_path)));
  }
  error_code error = bind(stream_protocol::endpoint(options_.uds));
  if (error == asio::error::address_in_use && is_left_over(io_, options_.uds)) {
    ::unlink(options_.uds.c_str());
    error = bind(stream_protocol::endpoint(options_.uds));
  }
  if (error) {
    const bool taken = error == asio::error::address_in_use;
    return error_of(where, error, taken ? "another program listens there, or it is a file" : "");
  }
  owns_file_ = true;
  return {};
}

Listener::error_code Listener::bind(const Protocol::endpoint& endpoint) {
  error_code error;
  acceptor_.open(endpoint.protocol(), error);
  if (!error && is_ip(endpoint)) {
    acceptor_.set_option(asio::socket_base::reuse_address(true), error);
  }
  if (!error && options_.host.empty() && endpoint.protocol().family() == AF_INET6) {
    acceptor_.set_option(asio::ip::v6_only(false), error);
  }
  if (!error) acceptor_.bind(endpoint, error);
  if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
  if (error) close();
  return error;
}

void Listener::close() {
  error_code ignored;
  acceptor_.close(ignored);
}

Error Listener::error_of(const std::string& where, const error_code& error,
                         std::string hint) const {
  return unavailable("cannot listen on " + where + ": " + error.message(), std::move(hint));
}

uint16_t Listener::port() const {
  if (!options_.uds.empty()) return 0;
  return endpoint_of<tcp::endpoint>(acceptor_.local_endpoint()).port();
}

std::string Listener::address() const {
  if (!options_.uds.empty()) return "unix:" + options_.uds;
  const std::string host = options_.host.find(':') == std::string::npos
                               ? (options_.host.empty() ? "0.0.0.0" : options_.host)
                               : "[" + options_.host + "]";
  return (options_.tls ? "https://" : "http://") + host + ":" + std::to_string(port());
}

asio::awaitable<std::tuple<boost::system::error_code>> Listener::accept(
    ServerStream::Socket& socket) {
  co_return co_await acceptor_.async_accept(socket, asio::as_tuple(asio::use_awaitable));
}

}  // namespace touchstone::http
