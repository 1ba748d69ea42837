#include "cli/serve_listen_flags.h"

#include "cli/duration_flag.h"
#include "http/server_tls.h"

namespace touchstone::cli {

void add_listen_flags(CLI::App& app, ListenFlags& flags, server::ServeOptions& options) {
  app.add_option("--host", options.http.host, "Address to listen on. Default: all");
  app.add_option("--port", flags.port, "Port to listen on; 0: any free one")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
  app.add_option("--uds", options.http.uds,
                 "Path of a Unix socket to listen on in place of host and port");
  app.add_option("--port-file", options.port_file,
                 "File that gets the port (or unix:PATH) once the server is ready");
  app.add_option("--ssl-certfile", flags.tls.certificate_file,
                 "Serves HTTPS: file with the certificate and its chain, PEM");
  app.add_option("--ssl-keyfile", flags.tls.key_file,
                 "File with its key, PEM. Default: the certificate's");
  app.add_option("--ssl-ca-certs", flags.tls.ca_file,
                 "File with the certificates of who may sign clients' ones, PEM");
  app.add_option("--ssl-cert-reqs", flags.certificate_wanted,
                 "Certificates of clients: 0 not asked for, 1 checked where there is one, 2 "
                 "demanded")
      ->check(CLI::Range(0, 2))
      ->capture_default_str();
  app.add_option("--ssl-ciphers", flags.tls.ciphers,
                 "Ciphers of TLS 1.2, as OpenSSL names them. Default: OpenSSL's");
  app.add_flag("--enable-ssl-refresh,!--no-enable-ssl-refresh", flags.tls.refresh,
               "Reads these files again when they change");
}

Status resolve_listen_flags(const ListenFlags& flags, server::ServeOptions& options) {
  options.http.port = static_cast<uint16_t>(flags.port);
  http::ServerTlsOptions tls = flags.tls;
  tls.client_certificate =
      static_cast<http::ServerTlsOptions::ClientCertificate>(flags.certificate_wanted);
  if (!tls.certificate_file.empty()) {
    const auto usable = http::ServerTls::make(tls);  // before a model is loaded for nothing
    if (!usable) return usable.error();
    options.http.tls = tls;
    return {};
  }
  const bool any = !tls.key_file.empty() || !tls.ca_file.empty() || !tls.ciphers.empty() ||
                   tls.refresh || flags.certificate_wanted != 0;
  if (!any) return {};
  return invalid_argument("--ssl-certfile: got none beside another --ssl flag, expected a file");
}

}  // namespace touchstone::cli
