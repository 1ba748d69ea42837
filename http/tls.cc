#include "http/tls.h"

#include <boost/asio/ssl/host_name_verification.hpp>

#include "base/text.h"

namespace touchstone::http {

namespace ssl = boost::asio::ssl;

Result<std::shared_ptr<ssl::context>> make_client_tls(const TlsOptions& options) {
  auto tls = std::make_shared<ssl::context>(ssl::context::tls_client);
  boost::system::error_code error;
  if (options.ca_file.empty()) {
    tls->set_default_verify_paths(error);
  } else {
    tls->load_verify_file(options.ca_file, error);
    if (error) {
      return invalid_argument("TLS: " + options.ca_file + ": " + error.message() +
                              ", expected certificates in PEM");
    }
  }
  tls->set_verify_mode(options.insecure ? ssl::verify_none : ssl::verify_peer, error);
  return tls;
}

std::unique_ptr<TlsStream> make_tls_stream(boost::beast::tcp_stream& stream, ssl::context& tls,
                                           const std::string& host) {
  auto secure = std::make_unique<TlsStream>(stream, tls);
  SSL_set_tlsext_host_name(secure->native_handle(), host.c_str());
  boost::system::error_code ignored;
  // Asked only where the context verifies at all.
  secure->set_verify_callback(ssl::host_name_verification(host), ignored);
  return secure;
}

}  // namespace touchstone::http
