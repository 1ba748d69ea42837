#include "reference_engine/server/tenant.h"

#include <algorithm>
#include <optional>

#include "base/document.h"
#include "base/files.h"
#include "base/sha256.h"
#include "base/text.h"
#include "telemetry/export/otlp_options.h"

namespace touchstone::server {
namespace {

constexpr std::string_view kDigestPrefix = "sha256:";

bool is_digest(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= kTenantBytesMax && is_valid_utf8(text) &&
         std::none_of(text.begin(), text.end(),
                      [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

/// The value of an entry of a W3C baggage header, without its properties.
std::optional<std::string> baggage_entry(const http::HttpRequest& request,
                                         const std::string& name) {
  const auto header = request.header("baggage");
  if (!header) return std::nullopt;
  std::vector<std::string> ignored;
  for (const std::string& member : split(*header, ',')) {
    const auto pairs = telemetry::parse_key_values(member.substr(0, member.find(';')), ignored);
    if (!pairs.empty() && pairs.front().first == name) return pairs.front().second;
  }
  return std::nullopt;
}

}  // namespace

Result<ApiKeyTable> ApiKeyTable::read(const std::string& path) {
  const auto text = read_file(path);
  if (!text) return text.error();
  auto document = Document::parse_yaml(path, *text);
  if (!document) return std::move(document).error();
  ApiKeyTable table;
  for (const auto& [tenant, fields] : document->root().named_objects("tenants")) {
    if (!is_name(tenant)) {
      fields.fail("", "got the tenant " + quote(tenant) + ", expected 1 to 128 bytes of text");
    }
    for (const std::string& key : fields.strings("api_keys")) {
      const bool hashed = key.starts_with(kDigestPrefix);
      const std::string digest = hashed ? key.substr(kDigestPrefix.size()) : sha256_hex(key);
      if (hashed && !is_digest(digest)) {
        fields.fail("api_keys", "got sha256: with no digest, expected 64 hex digits after it");
      }
      const auto [row, is_new] = table.owners_.emplace(digest, tenant);
      if (!is_new && row->second != tenant) {
        fields.fail("api_keys", "got a key that " + quote(row->second) + " has too");
      }
    }
  }
  RETURN_IF_ERROR(document->finish());
  return table;
}

const std::string* ApiKeyTable::owner(std::string_view key) const {
  const auto found = owners_.find(sha256_hex(key));
  return found == owners_.end() ? nullptr : &found->second;
}

Result<TenantSources> TenantSources::parse(const std::string& text) {
  using Kind = Source::Kind;
  TenantSources sources;
  if (text.empty()) return sources;
  for (const std::string& item : split(text, ',')) {
    const std::string word(trim(item));
    const size_t colon = word.find(':');
    const std::string name = colon == std::string::npos ? "" : word.substr(colon + 1);
    if (word == "api-key") {
      sources.sources_.push_back({Kind::kApiKey, ""});
    } else if (word == "user") {
      sources.sources_.push_back({Kind::kUser, ""});
    } else if (word.starts_with("header:") && !name.empty()) {
      sources.sources_.push_back({Kind::kHeader, name});
    } else if (word.starts_with("baggage:") && !name.empty()) {
      sources.sources_.push_back({Kind::kBaggage, name});
    } else {
      return invalid_argument("--tenant-from: got " + quote(word) +
                                  ", expected api-key, user, header:NAME or baggage:NAME",
                              "several are asked in order: --tenant-from api-key,user");
    }
  }
  return sources;
}

std::string TenantSources::tenant_of(const http::HttpRequest& request, const std::string& user,
                                     const ApiKeyTable& keys) const {
  for (const Source& source : sources_) {
    std::optional<std::string> name;
    switch (source.kind) {
      case Source::Kind::kApiKey: {
        const std::string header = request.header("authorization").value_or("");
        const std::string* owner = keys.owner(bearer_token(header));
        if (owner != nullptr) name = *owner;
        break;
      }
      case Source::Kind::kHeader:
        name = request.header(source.name);
        break;
      case Source::Kind::kUser:
        name = user;
        break;
      case Source::Kind::kBaggage:
        name = baggage_entry(request, source.name);
        break;
    }
    if (name && is_name(*name)) return *std::move(name);
  }
  return {};
}

std::string_view bearer_token(const std::string& authorization) {
  constexpr std::string_view kScheme = "bearer ";
  if (!starts_with_ignoring_case(authorization, kScheme)) return {};
  return std::string_view(authorization).substr(kScheme.size());
}

}  // namespace touchstone::server
