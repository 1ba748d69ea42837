// On whose behalf a request comes: an API key's owner, a header, the body's `user` or a W3C baggage
// entry, in the order that the operator gave. Immutable after reading; thread-safe to read.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "http/http.h"

namespace touchstone::server {

/// A client may name any tenant: longer names, and those with control characters, are no names.
inline constexpr size_t kTenantBytesMax = 128;

/// Who owns which key. Keys may stand as they are or as "sha256:" and the digest in hex.
///
///   tenants:
///     acme: {api_keys: [sk-acme-1, "sha256:9f86d081…"]}
class ApiKeyTable final {
 public:
  /// ERRORS: kNotFound, kInvalidArgument; also for a key that two tenants have.
  static Result<ApiKeyTable> read(const std::string& path);
  /// The key's owner; null: nobody's. Keys are compared by digest, so that time tells nothing.
  const std::string* owner(std::string_view key) const;
  bool empty() const { return owners_.empty(); }

 private:
  std::map<std::string, std::string> owners_;  // by the digest in hex
};

class TenantSources final {
 public:
  /// "api-key,header:X-Tenant-Id,user,baggage:tenant.id", or some of them; empty: no tenants.
  /// ERRORS: kInvalidArgument.
  static Result<TenantSources> parse(const std::string& text);
  /// What the first source that says something says; empty: none does. `user`: of the body.
  std::string tenant_of(const http::HttpRequest& request, const std::string& user,
                        const ApiKeyTable& keys) const;
  bool empty() const { return sources_.empty(); }

 private:
  struct Source {
    enum class Kind { kApiKey, kHeader, kUser, kBaggage } kind = Kind::kUser;
    std::string name;  // of the header or the entry
  };
  std::vector<Source> sources_;
};

/// What follows "Bearer "; empty: the request has no such header.
std::string_view bearer_token(const std::string& authorization);

}  // namespace touchstone::server
