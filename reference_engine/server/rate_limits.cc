#include "reference_engine/server/rate_limits.h"

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "base/document.h"
#include "base/files.h"

namespace touchstone::server {
namespace {

__extension__ using Wide = __int128;  // a rate times nanoseconds

constexpr int64_t kPartsOfUnit = 60 * kNsPerSecond;
constexpr int64_t kRateMax = 1'000'000'000'000;

RateLimit read_limit(const Fields& fields) {
  RateLimit limit;
  for (const auto& [key, rate] : {std::pair{"requests_per_minute", &limit.requests_per_minute},
                                  std::pair{"tokens_per_minute", &limit.tokens_per_minute}}) {
    *rate = fields.optional_int(key);
    if (*rate && (**rate < 1 || **rate > kRateMax)) {
      fields.fail(key, "got " + std::to_string(**rate) + ", expected 1 to 10^12");
    }
  }
  if (!limit.requests_per_minute && !limit.tokens_per_minute) {
    fields.fail("", "got no limit, expected requests_per_minute or tokens_per_minute");
  }
  return limit;
}

}  // namespace

Result<std::unique_ptr<RateLimits>> RateLimits::read(const std::string& path) {
  const auto text = read_file(path);
  if (!text) return text.error();
  auto document = Document::parse_yaml(path, *text);
  if (!document) return std::move(document).error();
  const Fields root = document->root();
  std::optional<RateLimit> fallback;
  if (root.has("default")) fallback = read_limit(root.object("default"));
  std::map<std::string, RateLimit> tenants;
  for (const auto& [name, fields] : root.named_objects("tenants")) {
    tenants.emplace(name, read_limit(fields));
  }
  RETURN_IF_ERROR(document->finish());
  return std::make_unique<RateLimits>(fallback, std::move(tenants));
}

std::optional<RateLimits::Bucket> RateLimits::full_bucket(const std::optional<int64_t>& per_minute,
                                                          int64_t now_ns) {
  if (!per_minute) return std::nullopt;
  return Bucket{*per_minute, *per_minute, 0, now_ns};
}

void RateLimits::fill(Bucket& bucket, int64_t now_ns) {
  const Wide parts = Wide{bucket.per_minute} * (now_ns - bucket.filled_ns) + bucket.level_parts;
  const Wide units = bucket.level_units + parts / kPartsOfUnit;
  bucket.filled_ns = now_ns;
  if (units >= bucket.per_minute) {
    bucket.level_units = bucket.per_minute;
    bucket.level_parts = 0;
    return;
  }
  bucket.level_units = static_cast<int64_t>(units);
  bucket.level_parts = static_cast<int64_t>(parts % kPartsOfUnit);
}

int64_t RateLimits::wait_for(const Bucket& bucket, int64_t units) {
  const int64_t needed = std::min(units, bucket.per_minute);
  if (bucket.level_units >= needed) return 0;
  const Wide parts = Wide{needed - bucket.level_units} * kPartsOfUnit - bucket.level_parts;
  return static_cast<int64_t>((parts + bucket.per_minute - 1) / bucket.per_minute);
}

RateLimits::Account* RateLimits::account_of(const std::string& tenant, int64_t now_ns) {
  const auto own = tenants_.find(tenant);
  if (own == tenants_.end() && !default_) return nullptr;
  const RateLimit& limit = own == tenants_.end() ? *default_ : own->second;
  const auto found = accounts_.find(tenant);
  if (found != accounts_.end()) return &found->second;
  const bool room = own != tenants_.end() || accounts_.size() < kTenantsMax;
  return &accounts_
              .try_emplace(room ? tenant : "",
                           Account{full_bucket(limit.requests_per_minute, now_ns),
                                   full_bucket(limit.tokens_per_minute, now_ns)})
              .first->second;
}

std::optional<RateLimits::Refusal> RateLimits::take(const std::string& tenant, int64_t tokens,
                                                    int64_t now_ns) {
  const MutexLock lock(mutex_);
  Account* account = account_of(tenant, now_ns);
  if (account == nullptr) return std::nullopt;
  const struct {
    std::optional<Bucket>& bucket;
    int64_t units;
    const char* name;
  } both[] = {{account->requests, 1, "requests"}, {account->tokens, tokens, "tokens"}};
  std::optional<Refusal> refusal;
  for (const auto& [bucket, units, name] : both) {
    if (!bucket) continue;
    fill(*bucket, now_ns);
    const int64_t wait_ns = wait_for(*bucket, units);
    if (wait_ns > (refusal ? refusal->wait_ns : 0)) refusal = Refusal{name, wait_ns};
  }
  if (refusal) return refusal;
  for (const auto& [bucket, units, name] : both) {
    if (bucket) bucket->level_units -= units;
  }
  return std::nullopt;
}

}  // namespace touchstone::server
