#include "cli/server_access.h"

#include <cstdlib>

#include "base/text.h"

namespace touchstone::cli {
namespace {

std::string key_of_environment() {
  for (const char* name : {"OPENAI_API_KEY", "VLLM_API_KEY"}) {
    const char* value = std::getenv(name);
    if (value != nullptr && *value != '\0') return value;
  }
  return {};
}

}  // namespace

void add_access_flags(CLI::App& app, AccessFlags& flags) {
  app.add_option("--api-key", flags.api_key,
                 "Key of the server, as `Authorization: Bearer KEY` (default: OPENAI_API_KEY, "
                 "VLLM_API_KEY)");
  app.add_option("--header", flags.headers, "A header for the server, `NAME: VALUE`; repeatable")
      ->allow_extra_args(false);
  app.add_option("--ca-file", flags.tls.ca_file,
                 "Certificates to trust for https, PEM (default: the system's)");
  app.add_flag("--insecure", flags.tls.insecure, "Trust any certificate");
}

Result<http::Access> resolve(const AccessFlags& flags, const std::string& verb) {
  http::Access access;
  access.tls = flags.tls;
  const std::string key = flags.api_key.empty() ? key_of_environment() : flags.api_key;
  if (!key.empty()) access.headers.emplace_back("Authorization", "Bearer " + key);
  RETURN_IF_ERROR(add_headers(flags.headers, verb + ": --header", access));
  return access;
}

Status add_headers(const std::vector<std::string>& headers, const std::string& where,
                   http::Access& access) {
  for (const std::string& header : headers) {
    const size_t colon = header.find(':');
    const std::string name(trim(header.substr(0, colon)));
    if (colon == std::string::npos || name.empty() ||
        header.find_first_of("\r\n") != std::string::npos) {
      return invalid_argument(where + ": got " + quote(header) + ", expected NAME: VALUE");
    }
    access.headers.emplace_back(name, trim(header.substr(colon + 1)));
  }
  return {};
}

}  // namespace touchstone::cli
