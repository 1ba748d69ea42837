#include "telemetry/cost/price_table.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/document.h"
#include "base/files.h"
#include "base/text.h"

namespace touchstone::telemetry {
namespace {

__extension__ using Wide = __int128;  // 10^-15 USD times tokens: beyond 64 bits at 2^40 tokens

constexpr int kStepDigits = 15;                           // a step is 10^-15 USD
constexpr int64_t kStepsPerE8 = 10'000'000;               // 10^-8 USD
constexpr int64_t kStepsMax = 1'000'000'000'000'000'000;  // 1,000 USD

/// For how many tokens the table's prices are.
int64_t read_per(const Fields& root) {
  const std::vector<std::pair<std::string, int64_t>> words = {{"1k", 1'000}, {"1M", 1'000'000}};
  return root.optional_enum("per", words).value_or(1'000'000);
}

/// A number as it was written; YAML's plain ones arrive as doubles, whose shortest text is what
/// was written up to 15 digits. Quoted ones keep all digits.
std::optional<std::string> written(const Fields& row, const std::string& key) {
  if (!row.has(key)) return std::nullopt;
  const nlohmann::json& value = row.raw(key);
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_integer()) return value.dump();
  if (!value.is_number()) return "";
  const double number = value.get<double>();
  for (int decimals = 0; decimals <= kStepDigits; ++decimals) {
    std::string text = format_fixed(number, decimals);
    if (parse_double(text) == number) return text;
  }
  return "";
}

int64_t read_price(const Fields& row, const std::string& key, int64_t per_tokens,
                   std::optional<int64_t> fallback) {
  const auto text = written(row, key);
  if (!text) {
    if (!fallback) row.fail(key, "missing", "every row has input and output");
    return fallback.value_or(0);
  }
  const auto steps = parse_price(*text, per_tokens);
  if (!steps) {
    row.fail(key, "got " + quote(*text) + ", expected USD as a plain decimal number",
             "for example 0.0001");
  }
  return steps.value_or(0);
}

Price read_row(const Fields& row, int64_t per_tokens) {
  Price price;
  price.input = read_price(row, "input", per_tokens, std::nullopt);
  price.cached_input = read_price(row, "cached_input", per_tokens, price.input);
  price.output = read_price(row, "output", per_tokens, std::nullopt);
  return price;
}

}  // namespace

std::string Cost::text() const {
  std::string digits = std::to_string(e8 < 0 ? -e8 : e8);
  if (digits.size() < 9) digits.insert(0, 9 - digits.size(), '0');
  std::string fraction = digits.substr(digits.size() - 8);
  fraction.erase(fraction.find_last_not_of('0') + 1);
  return (e8 < 0 ? "-" : "") + digits.substr(0, digits.size() - 8) +
         (fraction.empty() ? "" : "." + fraction);
}

Cost cost_of(const Price& price, const Usage& usage) {
  constexpr int64_t kTokensMax = int64_t{1} << 40;
  BASE_CHECK(0 <= usage.cached_tokens && usage.cached_tokens <= usage.prompt_tokens &&
                 usage.prompt_tokens < kTokensMax && 0 <= usage.completion_tokens &&
                 usage.completion_tokens < kTokensMax,
             usage.cached_tokens, " ", usage.prompt_tokens, " ", usage.completion_tokens);
  const Wide steps = Wide{price.input} * (usage.prompt_tokens - usage.cached_tokens) +
                     Wide{price.cached_input} * usage.cached_tokens +
                     Wide{price.output} * usage.completion_tokens;
  Wide e8 = steps / kStepsPerE8;
  const Wide rest = steps % kStepsPerE8;
  if (2 * rest > kStepsPerE8 || (2 * rest == kStepsPerE8 && e8 % 2 == 1)) ++e8;
  return {e8 > INT64_MAX ? INT64_MAX : static_cast<int64_t>(e8)};
}

std::optional<int64_t> parse_price(std::string_view text, int64_t per_tokens) {
  int shift = kStepDigits;
  for (int64_t per = per_tokens; per > 1; per /= 10) --shift;
  const size_t point = std::min(text.find('.'), text.size());
  const std::string_view whole = text.substr(0, point);
  std::string_view fraction = text.substr(std::min(point + 1, text.size()));
  if (point < text.size() && fraction.empty()) return std::nullopt;
  while (fraction.ends_with('0')) fraction.remove_suffix(1);
  if (whole.empty() || whole.size() > 9 || fraction.size() > static_cast<size_t>(shift)) {
    return std::nullopt;
  }
  std::string digits = std::string(whole) + std::string(fraction);
  if (digits.find_first_not_of("0123456789") != std::string::npos) return std::nullopt;
  digits.append(static_cast<size_t>(shift) - fraction.size(), '0');
  Wide steps = 0;
  for (const char digit : digits) steps = steps * 10 + (digit - '0');
  if (steps > kStepsMax) return std::nullopt;
  return static_cast<int64_t>(steps);
}

Result<PriceTable> PriceTable::read(const std::string& path) {
  const auto text = read_file(path);
  if (!text) return text.error();
  auto document = Document::parse_yaml(path, *text);
  if (!document) return std::move(document).error();
  const Fields root = document->root();
  const int64_t per = read_per(root);
  PriceTable table;
  table.path_ = path;
  for (const Fields& row : root.objects("models")) {
    const std::pair key{row.required_string("model"), row.optional_string("adapter").value_or("")};
    if (!table.rows_.emplace(key, read_row(row, per)).second) {
      row.fail("model", "got " + quote(key.first) + " twice, expected one row for each");
    }
  }
  if (root.has("default")) table.default_ = read_row(root.object("default"), per);
  RETURN_IF_ERROR(document->finish());
  return table;
}

std::optional<Price> PriceTable::find(const std::string& model, const std::string& adapter) const {
  auto row = rows_.find({model, adapter});
  if (row == rows_.end()) row = rows_.find({model, ""});
  if (row == rows_.end() && adapter.empty()) {
    row = std::ranges::find_if(rows_, [&](const auto& one) { return one.first.second == model; });
  }
  return row == rows_.end() ? default_ : std::optional(row->second);
}

Status PriceTable::require(const std::vector<std::string>& models) const {
  for (const std::string& model : models) {
    if (find(model, "")) continue;
    return invalid_argument(path_ + ": got no price for model " + quote(model) +
                                ", expected a row for each that is served",
                            "add a row for it, or a default one");
  }
  return {};
}

}  // namespace touchstone::telemetry
