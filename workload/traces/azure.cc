// Azure LLM inference traces (github.com/Azure/AzurePublicDataset, 2023 and 2024): a CSV of
// TIMESTAMP (100 ns, with or without a zone), ContextTokens, GeneratedTokens.
#include <cctype>
#include <chrono>
#include <utility>

#include "base/clock.h"
#include "base/text.h"
#include "workload/traces/csv.h"
#include "workload/traces/rows.h"
#include "workload/traces/trace.h"

namespace touchstone::workload {
namespace {

constexpr int64_t kNsPerDay = 86400 * kNsPerSecond;

std::optional<int64_t> number_at(std::string_view text, size_t from, size_t digits) {
  if (text.size() < from + digits) return std::nullopt;
  for (size_t i = from; i < from + digits; ++i) {
    if (std::isdigit(static_cast<unsigned char>(text[i])) == 0) return std::nullopt;
  }
  return parse_int(text.substr(from, digits));
}

/// "Z", "+02:00" or nothing, in nanoseconds east of UTC.
std::optional<int64_t> zone_ns(std::string_view zone) {
  if (zone.empty() || zone == "Z") return 0;
  const auto hours = number_at(zone, 1, 2);
  const auto minutes = number_at(zone, 4, 2);
  const bool formed = zone.size() == 6 && (zone[0] == '+' || zone[0] == '-') && zone[3] == ':';
  if (!formed || !hours || !minutes) return std::nullopt;
  const int64_t east_ns = (*hours * 3600 + *minutes * 60) * kNsPerSecond;
  return zone[0] == '-' ? -east_ns : east_ns;
}

/// "2023-11-16 18:15:46.6805900", "…T…+00:00".
std::optional<int64_t> parse_timestamp_ns(std::string_view text) {
  const std::pair<size_t, size_t> places[] = {{0, 4}, {5, 2}, {8, 2}, {11, 2}, {14, 2}, {17, 2}};
  int64_t part[6];
  for (size_t i = 0; i < 6; ++i) {
    const auto number = number_at(text, places[i].first, places[i].second);
    if (!number) return std::nullopt;
    part[i] = *number;
  }
  const bool formed = text[4] == '-' && text[7] == '-' && (text[10] == ' ' || text[10] == 'T') &&
                      text[13] == ':' && text[16] == ':';
  const std::chrono::year_month_day date(std::chrono::year(static_cast<int>(part[0])),
                                         std::chrono::month(static_cast<unsigned>(part[1])),
                                         std::chrono::day(static_cast<unsigned>(part[2])));
  if (!formed || !date.ok() || part[3] > 23 || part[4] > 59 || part[5] > 60) return std::nullopt;
  if (part[0] < 1970 || part[0] > 2200) return std::nullopt;
  int64_t fraction_ns = 0;
  size_t end = 19;
  if (text.size() > end && text[end] == '.') {
    int64_t unit_ns = kNsPerSecond / 10;
    for (++end; end < text.size() && std::isdigit(static_cast<unsigned char>(text[end])) != 0;
         ++end, unit_ns /= 10) {
      fraction_ns += (text[end] - '0') * unit_ns;
    }
  }
  const auto east_ns = zone_ns(text.substr(end));
  if (!east_ns) return std::nullopt;
  const int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  return days * kNsPerDay + (part[3] * 3600 + part[4] * 60 + part[5]) * kNsPerSecond + fraction_ns -
         *east_ns;
}

const std::vector<std::string> kColumns = {"TIMESTAMP", "ContextTokens", "GeneratedTokens"};

class AzureReader final : public RequestReader {
 public:
  explicit AzureReader(CsvRows rows) : rows_(std::move(rows)) {}

  Result<bool> next(Request& request) override {
    for (;;) {
      const auto there = rows_.next(fields_);
      if (!there || !*there) return there;
      const auto time_ns = parse_timestamp_ns(fields_[0]);
      if (!time_ns) return rows_.bad(0, fields_[0], "a date like 2023-11-16 18:15:46.6805900");
      const auto prompt = rows_.tokens(fields_, 1);
      if (!prompt) return prompt.error();
      const auto output = rows_.tokens(fields_, 2);
      if (!output) return output.error();
      const auto arrival_ns = arrivals_.from_start_ns(*time_ns, rows_.where(), "TIMESTAMP");
      if (!arrival_ns) return arrival_ns.error();
      if (*prompt > 0 && *output > 0) {
        begin_request(request, made_++, *arrival_ns, *prompt, *output);
        return true;
      }
      ++empty_;
    }
  }
  std::string where() const override { return rows_.where(); }
  std::string left_out() const override { return without_tokens(empty_); }

 private:
  CsvRows rows_;
  std::vector<std::string_view> fields_;
  Arrivals arrivals_;
  int64_t made_ = 0;
  int64_t empty_ = 0;
};

}  // namespace

bool looks_like_azure(const std::string&, std::string_view head) {
  return head.substr(0, 40).find("TIMESTAMP,ContextTokens") != std::string_view::npos;
}

Result<std::unique_ptr<RequestReader>> open_azure(const std::string& path, const TraceOptions&) {
  auto rows = CsvRows::open(path, kColumns);
  if (!rows) return std::move(rows).error();
  return std::unique_ptr<RequestReader>(std::make_unique<AzureReader>(std::move(*rows)));
}

}  // namespace touchstone::workload
