#include "reference_engine/server/accounts.h"

#include <utility>

namespace touchstone::server {

Result<Accounts> read_accounts(const AccountOptions& options,
                               const std::vector<std::string>& served_models) {
  Accounts accounts;
  if (!options.price_table.empty()) {
    auto prices = telemetry::PriceTable::read(options.price_table);
    if (!prices) return std::move(prices).error().with_context("--price-table");
    Status priced = prices->require(served_models);
    if (!priced) return std::move(priced).error().with_context("--price-table");
    accounts.prices = *std::move(prices);
  }
  auto tenants = TenantSources::parse(options.tenant_from);
  if (!tenants) return std::move(tenants).error();
  accounts.tenants = *std::move(tenants);
  if (!options.api_key_table.empty()) {
    auto keys = ApiKeyTable::read(options.api_key_table);
    if (!keys) return std::move(keys).error().with_context("--api-key-table");
    accounts.keys = *std::move(keys);
  }
  if (!options.rate_limits.empty()) {
    auto limits = RateLimits::read(options.rate_limits);
    if (!limits) return std::move(limits).error().with_context("--rate-limits");
    accounts.limits = *std::move(limits);
  }
  return accounts;
}

}  // namespace touchstone::server
