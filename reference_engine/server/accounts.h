// What tells on whose behalf a request comes, what it costs and how much is too much: the files of
// `serve`'s flags, read. Immutable but for the buckets; thread-safe.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "reference_engine/server/rate_limits.h"
#include "reference_engine/server/tenant.h"
#include "telemetry/cost/price_table.h"

namespace touchstone::server {

struct AccountOptions {
  std::string price_table;    ///< path; empty: nothing has a price
  std::string tenant_from;    ///< TenantSources; empty: no tenants
  std::string api_key_table;  ///< path; empty: none
  std::string rate_limits;    ///< path; empty: none
};

struct Accounts {
  std::optional<telemetry::PriceTable> prices;
  TenantSources tenants;
  ApiKeyTable keys;
  std::unique_ptr<RateLimits> limits;  ///< null: none
  const telemetry::PriceTable* price_table() const { return prices ? &*prices : nullptr; }
};

/// ERRORS: those of the files, with the flag in front; kInvalidArgument for a served model without
/// a price.
Result<Accounts> read_accounts(const AccountOptions& options,
                               const std::vector<std::string>& served_models);

}  // namespace touchstone::server
