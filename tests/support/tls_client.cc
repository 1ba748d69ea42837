#include "tests/support/tls_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

namespace touchstone::testing {
namespace {

int connect_to(uint16_t port, int timeout_s) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval timeout{.tv_sec = timeout_s, .tv_usec = 0};
  ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  ::setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  (void)::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  return socket;
}

std::string last_error() {
  char text[256] = "closed or timed out";
  if (const unsigned long code = ERR_get_error(); code != 0) {
    ERR_error_string_n(code, text, sizeof text);
  }
  ERR_clear_error();
  return text;
}

void show(SSL_CTX* context, const TestCertificate& own) {
  BIO* text = BIO_new_mem_buf(own.certificate.data(), static_cast<int>(own.certificate.size()));
  X509* certificate = PEM_read_bio_X509(text, nullptr, nullptr, nullptr);
  SSL_CTX_use_certificate(context, certificate);
  X509_free(certificate);
  BIO_free(text);
  text = BIO_new_mem_buf(own.key.data(), static_cast<int>(own.key.size()));
  EVP_PKEY* key = PEM_read_bio_PrivateKey(text, nullptr, nullptr, nullptr);
  SSL_CTX_use_PrivateKey(context, key);
  EVP_PKEY_free(key);
  BIO_free(text);
}

}  // namespace

struct TlsClient::State {
  ~State() {
    SSL_free(ssl);
    SSL_CTX_free(context);
    ::close(socket);
  }
  int socket = -1;
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  SSL* ssl = nullptr;
};

TlsClient::TlsClient(uint16_t port, const Options& options) : state_(std::make_unique<State>()) {
  if (!options.ca_file.empty()) {
    SSL_CTX_load_verify_locations(state_->context, options.ca_file.c_str(), nullptr);
    SSL_CTX_set_verify(state_->context, SSL_VERIFY_PEER, nullptr);
  }
  if (options.shown != nullptr) show(state_->context, *options.shown);
  if (options.version_max != 0) {
    SSL_CTX_set_max_proto_version(state_->context, options.version_max);
  }
  state_->socket = connect_to(port, options.timeout_s);
  state_->ssl = SSL_new(state_->context);
  SSL_set1_host(state_->ssl, "localhost");
  SSL_set_fd(state_->ssl, state_->socket);
  if (SSL_connect(state_->ssl) != 1) problem_ = last_error();
}

TlsClient::~TlsClient() = default;

bool TlsClient::send(std::string_view bytes) {
  return SSL_write(state_->ssl, bytes.data(), static_cast<int>(bytes.size())) > 0;
}

bool TlsClient::receive() {
  char bytes[16384];
  const int got = SSL_read(state_->ssl, bytes, sizeof bytes);
  if (got > 0) {
    received_.append(bytes, static_cast<size_t>(got));
    return true;
  }
  ended_well_ = SSL_get_error(state_->ssl, got) == SSL_ERROR_ZERO_RETURN;
  if (!ended_well_) problem_ = last_error();
  return false;
}

std::string TlsClient::read_until(std::string_view text) {
  while (received_.find(text) == std::string::npos && receive()) {
  }
  return std::exchange(received_, {});
}

std::string TlsClient::read_to_end() {
  while (receive()) {
  }
  return std::exchange(received_, {});
}

std::string TlsClient::server_name() const {
  char name[256] = "";
  X509* certificate = SSL_get1_peer_certificate(state_->ssl);
  if (certificate == nullptr) return name;
  X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name, sizeof name);
  X509_free(certificate);
  return name;
}

}  // namespace touchstone::testing
