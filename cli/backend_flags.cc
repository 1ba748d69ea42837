#include "cli/backend_flags.h"

#include <cstdlib>

#include "base/text.h"
#include "cli/server_access.h"
#include "telemetry/export/otlp_options.h"

namespace touchstone::cli {
namespace {

constexpr char kVariable[] = "TOUCHSTONE_BACKEND_HEADERS";

Status add_environment(http::Access& access) {
  const char* text = std::getenv(kVariable);
  if (text == nullptr) return {};
  std::vector<std::string> skipped;
  access.headers = telemetry::parse_key_values(text, skipped);
  if (skipped.empty()) return {};
  return invalid_argument(std::string(kVariable) + ": got " + quote(skipped.front()) +
                          ", expected key=value,key=value");
}

}  // namespace

void add_backend_flags(CLI::App& app, BackendFlags& flags) {
  std::string kinds;
  for (const harness::BackendKind& kind : harness::backend_kinds()) {
    kinds +=
        (kinds.empty() ? "" : "; ") + std::string(kind.name) + ": " + std::string(kind.summary);
  }
  app.add_option("--backend", flags.backends,
                 "NAME=URL: where spans landed and are read back from; may be repeated. " + kinds)
      ->allow_extra_args(false)
      ->type_name("NAME=URL");
  app.add_option("--backend-header", flags.headers,
                 "A header for backends, `NAME: VALUE`; may be repeated. Secrets are better in "
                 "TOUCHSTONE_BACKEND_HEADERS (key=value,key=value)")
      ->allow_extra_args(false);
}

Result<std::vector<harness::BackendAddress>> resolve(const BackendFlags& flags,
                                                     const http::TlsOptions& tls) {
  http::Access access{{}, tls};
  RETURN_IF_ERROR(add_environment(access));
  RETURN_IF_ERROR(add_headers(flags.headers, "--backend-header", access));
  std::vector<harness::BackendAddress> addresses;
  for (const std::string& text : flags.backends) {
    auto address = harness::parse_backend(text);
    if (!address) return std::move(address).error();
    address->access = access;
    addresses.push_back(*std::move(address));
  }
  return addresses;
}

}  // namespace touchstone::cli
