#include "tests/harness/tls_server.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <mutex>
#include <thread>

namespace touchstone::harness {
namespace {

namespace asio = boost::asio;
namespace ssl = asio::ssl;
namespace beast_http = boost::beast::http;
using asio::ip::tcp;

constexpr char kAnswer[] =
    R"({"id":"cmpl-1","choices":[{"index":0,"text":"hello","finish_reason":"stop"}],)"
    R"("usage":{"prompt_tokens":2,"completion_tokens":1}})";

/// A fresh key and its own signature, for `localhost` and one hour.
void certify(ssl::context& tls, const std::string& path) {
  EVP_PKEY* key = EVP_RSA_gen(2048);
  X509* certificate = X509_new();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
  X509_set_pubkey(certificate, key);
  X509_NAME* name = X509_get_subject_name(certificate);
  const auto* host = reinterpret_cast<const unsigned char*>("localhost");
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, host, -1, -1, 0);
  X509_set_issuer_name(certificate, name);
  X509_EXTENSION* names =
      X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "DNS:localhost");
  X509_add_ext(certificate, names, -1);
  X509_EXTENSION_free(names);
  X509_sign(certificate, key, EVP_sha256());
  std::FILE* file = std::fopen(path.c_str(), "w");
  PEM_write_X509(file, certificate);
  std::fclose(file);
  SSL_CTX_use_certificate(tls.native_handle(), certificate);
  SSL_CTX_use_PrivateKey(tls.native_handle(), key);
  X509_free(certificate);
  EVP_PKEY_free(key);
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
