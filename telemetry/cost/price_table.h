// What tokens cost, in exact decimal arithmetic: no price or sum is ever rounded on the way, the
// result once, half to even, to 8 decimals of a US dollar. Values; immutable after reading;
// thread-safe to read.
//
//   per: 1k                      # or 1M: what the prices below are for
//   models:
//     - {model: mistral-7b, input: 0.0001, output: 0.0002}
//     - {model: mistral-7b, adapter: legal, input: 0.0002, cached_input: 0.0001, output: 0.0004}
//   default: {input: 0.0002, output: 0.0004}
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace touchstone::telemetry {

/// An amount of money in steps of 10^-8 USD.
struct Cost {
  int64_t e8 = 0;
  double usd() const { return static_cast<double>(e8) / 1e8; }  ///< the nearest double
  /// Plain decimal without trailing zeros: "0.00002", "0", "12.5".
  std::string text() const;
  bool operator==(const Cost&) const = default;
};

/// Of one model, in steps of 10^-15 USD a token.
struct Price {
  int64_t input = 0;
  int64_t cached_input = 0;  ///< of prompt tokens that the prefix cache held; default: as input
  int64_t output = 0;
};

/// What was used of a model.
struct Usage {
  int64_t prompt_tokens = 0;
  int64_t cached_tokens = 0;  ///< of the prompt tokens
  int64_t completion_tokens = 0;
};

/// REQUIRES: 0 <= cached_tokens <= prompt_tokens, token counts below 2^40. What exceeds 9.2e10 USD
/// is cut there.
Cost cost_of(const Price& price, const Usage& usage);

/// "0.0001" for 1,000 tokens → steps of 10^-15 USD a token. Nullopt: not a plain decimal number
/// from 0 to 1,000 USD a token, or finer than a step.
std::optional<int64_t> parse_price(std::string_view text, int64_t per_tokens);

class PriceTable final {
 public:
  /// ERRORS: kNotFound, kInvalidArgument `file:line: field: got, expected`; also for a model (with
  /// its adapter) that comes twice.
  static Result<PriceTable> read(const std::string& path);

  /// The row of the adapter on this model, else of the model, else the default one; nullopt: none.
  std::optional<Price> find(const std::string& model, const std::string& adapter) const;
  /// ERRORS: kInvalidArgument for the first model that has no price.
  Status require(const std::vector<std::string>& models) const;

 private:
  std::string path_;
  std::map<std::pair<std::string, std::string>, Price> rows_;
  std::optional<Price> default_;
};

}  // namespace touchstone::telemetry
