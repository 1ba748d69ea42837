#include "http/server_tls.h"

#include <openssl/ssl.h>

#include <utility>

#include "base/clock.h"
#include "base/text.h"

namespace touchstone::http {
namespace {

namespace ssl = boost::asio::ssl;
using boost::system::error_code;
using ClientCertificate = ServerTlsOptions::ClientCertificate;

// Each holds about 70 KiB and has shown nothing of itself yet.
constexpr size_t kHandshakesMax = 1024;
constexpr int64_t kLookEveryNs = kNsPerSecond;

Error unusable(const std::string& flag, const std::string& file, const error_code& error) {
  return invalid_argument(flag + ": " + file + ": " + error.message());
}

ssl::verify_mode verify_mode(ClientCertificate wanted) {
  switch (wanted) {
    case ClientCertificate::kOptional:
      return ssl::verify_peer;
    case ClientCertificate::kRequired:
      return ssl::verify_peer | ssl::verify_fail_if_no_peer_cert;
    case ClientCertificate::kNone:
      break;
  }
  return ssl::verify_none;
}

Result<ServerTls::Context> make_context(const ServerTlsOptions& options) {
  auto context = std::make_shared<ssl::context>(ssl::context::tls_server);
  SSL_CTX* const native = context->native_handle();
  SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
  SSL_CTX_set_options(native, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(native, SSL_MODE_RELEASE_BUFFERS);
  error_code error;
  context->use_certificate_chain_file(options.certificate_file, error);
  if (error) return unusable("--ssl-certfile", options.certificate_file, error);
  const bool apart = !options.key_file.empty();
  const std::string& key = apart ? options.key_file : options.certificate_file;
  context->use_private_key_file(key, ssl::context::pem, error);
  if (error) return unusable(apart ? "--ssl-keyfile" : "--ssl-certfile", key, error);
  if (SSL_CTX_check_private_key(native) != 1) {
    return invalid_argument("--ssl-keyfile: " + key + ": got the key of another certificate, " +
                            "expected that of " + options.certificate_file);
  }
  if (!options.ca_file.empty()) {
    context->load_verify_file(options.ca_file, error);
    if (error) return unusable("--ssl-ca-certs", options.ca_file, error);
    // Who asks for a certificate says whose signatures it takes.
    SSL_CTX_set_client_CA_list(native, SSL_load_client_CA_file(options.ca_file.c_str()));
  }
  context->set_verify_mode(verify_mode(options.client_certificate), error);
  static constexpr unsigned char kSession[] = "touchstone";
  SSL_CTX_set_session_id_context(native, kSession, sizeof kSession - 1);
  if (!options.ciphers.empty() && SSL_CTX_set_cipher_list(native, options.ciphers.c_str()) != 1) {
    return invalid_argument("--ssl-ciphers: got " + quote(options.ciphers) +
                            ", expected names of OpenSSL such as ECDHE-RSA-AES256-GCM-SHA384");
  }
  return context;
}

}  // namespace

Result<std::unique_ptr<ServerTls>> ServerTls::make(const ServerTlsOptions& options) {
  if (options.client_certificate != ClientCertificate::kNone && options.ca_file.empty()) {
    return invalid_argument(
        "--ssl-cert-reqs: got 1 or 2 without --ssl-ca-certs: no client's certificate could be "
        "trusted");
  }
  auto context = make_context(options);
  if (!context) return std::move(context).error();
  return std::unique_ptr<ServerTls>(new ServerTls(options, *std::move(context)));
}

ServerTls::ServerTls(const ServerTlsOptions& options, Context context)
    : options_(options), context_(std::move(context)), times_(file_times()) {}

ServerTls::Times ServerTls::file_times() const {
  Times times;
  std::error_code missing;  // has a time of its own
  for (const std::string* file :
       {&options_.certificate_file, &options_.key_file, &options_.ca_file}) {
    times.push_back(std::filesystem::last_write_time(*file, missing));
  }
  return times;
}

ServerTls::Context ServerTls::context(int64_t now_ns,
                                      const std::function<void(const std::string&)>& on_problem) {
  const MutexLock lock(mutex_);
  if (!options_.refresh || now_ns - looked_ns_ < kLookEveryNs) return context_;
  looked_ns_ = now_ns;
  Times times = file_times();
  if (times == times_) return context_;
  times_ = std::move(times);
  auto context = make_context(options_);
  if (context) {
    context_ = *std::move(context);
  } else {
    on_problem("the former certificate goes on: " + context.error().message);
  }
  return context_;
}

bool ServerTls::enter() {
  if (shaking_hands_.fetch_add(1) < kHandshakesMax) return true;
  leave();
  return false;
}

}  // namespace touchstone::http
