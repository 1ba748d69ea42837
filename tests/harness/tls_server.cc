#include "tests/harness/tls_server.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <mutex>
#include <thread>

#include "base/files.h"
#include "tests/support/certificates.h"

namespace touchstone::harness {
namespace {

namespace asio = boost::asio;
namespace ssl = asio::ssl;
namespace beast_http = boost::beast::http;
using asio::ip::tcp;

constexpr char kAnswer[] =
    R"({"id":"cmpl-1","choices":[{"index":0,"text":"hello","finish_reason":"stop"}],)"
    R"("usage":{"prompt_tokens":2,"completion_tokens":1}})";

/// A fresh key and its own signature.
void certify(ssl::context& tls, const std::string& path) {
  const testing::TestCertificate made = testing::make_certificate();
  EXPECT_TRUE(write_file_atomic(path, made.certificate));
  boost::system::error_code ignored;
  tls.use_certificate_chain(asio::buffer(made.certificate), ignored);
  tls.use_private_key(asio::buffer(made.key), ssl::context::pem, ignored);
}

}  // namespace

struct TlsServer::State {
  void accept_all() {
    for (;;) {
      tcp::socket socket(loop);
      boost::beast::error_code error;
      acceptor.accept(socket, error);
      if (error) return;
      serve(std::move(socket));
    }
  }

  void serve(tcp::socket socket) {
    ssl::stream<tcp::socket> stream(std::move(socket), tls);
    boost::beast::error_code error;
    stream.handshake(ssl::stream_base::server, error);
    boost::beast::flat_buffer buffer;
    beast_http::request<beast_http::string_body> request;
    if (!error) beast_http::read(stream, buffer, request, error);
    if (error) return;
    {
      const std::lock_guard lock(mutex);
      keys.emplace_back(request["Authorization"]);
    }
    beast_http::response<beast_http::string_body> response(beast_http::status::ok, 11);
    response.set(beast_http::field::content_type, "application/json");
    response.keep_alive(false);
    response.body() = kAnswer;
    response.prepare_payload();
    beast_http::write(stream, response, error);
    stream.shutdown(error);
  }

  asio::io_context loop;
  ssl::context tls{ssl::context::tls_server};
  tcp::acceptor acceptor{loop, tcp::endpoint(asio::ip::address_v4::loopback(), 0)};
  std::mutex mutex;
  std::vector<std::string> keys;
  std::thread thread;
};

TlsServer::TlsServer(const std::string& certificate_path) : state_(std::make_unique<State>()) {
  certify(state_->tls, certificate_path);
  state_->thread = std::thread([state = state_.get()] { state->accept_all(); });
}

TlsServer::~TlsServer() {
  ::shutdown(state_->acceptor.native_handle(), SHUT_RDWR);  // ends the blocking accept
  state_->thread.join();
}

std::string TlsServer::url() const {
  return "https://localhost:" + std::to_string(state_->acceptor.local_endpoint().port());
}

std::vector<std::string> TlsServer::keys() const {
  const std::lock_guard lock(state_->mutex);
  return state_->keys;
}

}  // namespace touchstone::harness
