// What was used and what it costs, by tenant and model, from spans of any dialect that names both
// token counts, or from request records. Thread-compatible.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "base/result.h"
#include "records/request_record.h"
#include "telemetry/cost/price_table.h"
#include "telemetry/span.h"

namespace touchstone::telemetry {

struct CostRow {
  int64_t requests = 0;
  Usage usage;
  Cost cost;  ///< each request rounded to 10^-8 USD, then added
};

class CostReport final {
 public:
  /// `prices` outlives this; null: only costs that are handed in.
  explicit CostReport(const PriceTable* prices) : prices_(prices) {}

  /// By the price table, which must be there. ERRORS: kInvalidArgument for a model without a price.
  Status add(const records::RequestRecord& record);
  /// With a cost that was found otherwise.
  void add(const records::RequestRecord& record, const Cost& cost);
  /// Spans without both counts are passed over: children, other services. ERRORS: as above, and
  /// kMalformed for counts that cannot be.
  Status add(const TraceBatch& batch);

  /// By tenant (empty: nobody is named) and model.
  const std::map<std::pair<std::string, std::string>, CostRow>& rows() const { return rows_; }
  CostRow total() const;
  /// The scopes whose spans were counted: more than one may count a request twice.
  const std::set<std::string>& scopes() const { return scopes_; }

 private:
  Status count(const std::string& tenant, const std::string& model, const std::string& adapter,
               const Usage& usage);
  void count(const std::string& tenant, const std::string& model, const Usage& usage,
             const Cost& cost);

  const PriceTable* const prices_;
  std::map<std::pair<std::string, std::string>, CostRow> rows_;
  std::set<std::string> scopes_;
};

}  // namespace touchstone::telemetry
