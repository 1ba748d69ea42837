// What a server wants of its clients beside a URL. Values.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace touchstone::http {

/// Whom a client trusts.
struct TlsOptions {
  std::string ca_file;    ///< PEM; empty: the system's
  bool insecure = false;  ///< take any certificate
};

struct Access {
  std::vector<std::pair<std::string, std::string>> headers;  ///< e.g. Authorization
  TlsOptions tls;
};

}  // namespace touchstone::http
