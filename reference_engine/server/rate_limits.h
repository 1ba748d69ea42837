// What a tenant may ask for: token buckets over requests and over tokens, the prompt's and those
// that may be generated. Whole numbers throughout; time is handed in. Thread-safe.
//
//   default: {requests_per_minute: 60, tokens_per_minute: 20000}
//   tenants:
//     acme: {requests_per_minute: 600}      # no limit of tokens
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/mutex.h"
#include "base/result.h"

namespace touchstone::server {

struct RateLimit {
  std::optional<int64_t> requests_per_minute;  ///< absent: no limit; a bucket holds a minute's
  std::optional<int64_t> tokens_per_minute;
};

class RateLimits final {
 public:
  /// ERRORS: kNotFound, kInvalidArgument.
  static Result<std::unique_ptr<RateLimits>> read(const std::string& path);
  RateLimits(std::optional<RateLimit> fallback, std::map<std::string, RateLimit> tenants)
      : default_(fallback), tenants_(std::move(tenants)) {}

  struct Refusal {
    const char* limit = "";  ///< "requests" or "tokens"
    int64_t wait_ns = 0;     ///< until it would be let in, nothing else coming in
  };
  /// Takes a request and its tokens from the tenant's buckets, or neither. More tokens than a
  /// bucket holds are let in when it is full, and leave it owing.
  std::optional<Refusal> take(const std::string& tenant, int64_t tokens, int64_t now_ns);

  /// Tenants beyond so many share one pair of buckets, since a client can name any.
  static constexpr size_t kTenantsMax = 10'000;

 private:
  /// In parts of 1/60e9 of a unit: what one nanosecond at a rate of one a minute brings.
  struct Bucket {
    int64_t per_minute = 0;
    int64_t level_units = 0;  // whole units, negative: owing
    int64_t level_parts = 0;  // of a unit, below 60e9
    int64_t filled_ns = 0;
  };
  struct Account {
    std::optional<Bucket> requests;
    std::optional<Bucket> tokens;
  };
  static std::optional<Bucket> full_bucket(const std::optional<int64_t>& per_minute,
                                           int64_t now_ns);
  static void fill(Bucket& bucket, int64_t now_ns);
  /// 0: `units` can be taken now.
  static int64_t wait_for(const Bucket& bucket, int64_t units);
  Account* account_of(const std::string& tenant, int64_t now_ns) REQUIRES(mutex_);

  const std::optional<RateLimit> default_;
  const std::map<std::string, RateLimit> tenants_;
  Mutex mutex_;
  std::map<std::string, Account> accounts_ GUARDED_BY(mutex_);
};

}  // namespace touchstone::server
