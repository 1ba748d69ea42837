// BurstGPT (github.com/HPMLL/BurstGPT, release v1.1 and later): a CSV of Timestamp (seconds),
// Model, Request tokens, Response tokens, Total tokens, Log Type; sessions where the columns are
// there. The model becomes the tenant: one file mixes two.
#include <utility>

#include "base/text.h"
#include "workload/traces/csv.h"
#include "workload/traces/rows.h"
#include "workload/traces/trace.h"

namespace touchstone::workload {
namespace {

const std::vector<std::string> kColumns = {"Timestamp", "Model", "Request tokens",
                                           "Response tokens"};
const std::vector<std::string> kWithSession = {"Timestamp", "Model", "Request tokens",
                                               "Response tokens", "Session ID"};

class BurstGptReader final : public RequestReader {
 public:
  BurstGptReader(CsvRows rows, bool sessions) : rows_(std::move(rows)), sessions_(sessions) {}

  Result<bool> next(Request& request) override {
    for (;;) {
      const auto there = rows_.next(fields_);
      if (!there || !*there) return there;
      const auto seconds = parse_double(fields_[0]);
      const auto time_ns = seconds ? seconds_to_ns(*seconds) : std::nullopt;
      if (!time_ns) return rows_.bad(0, fields_[0], "seconds, 0 or later");
      const auto prompt = rows_.tokens(fields_, 2);
      if (!prompt) return prompt.error();
      const auto output = rows_.tokens(fields_, 3);
      if (!output) return output.error();
      const auto arrival_ns = arrivals_.from_start_ns(*time_ns, rows_.where(), "Timestamp");
      if (!arrival_ns) return arrival_ns.error();
      if (*prompt > 0 && *output > 0) {
        begin_request(request, made_++, *arrival_ns, *prompt, *output);
        request.tenant = std::string(fields_[1]);
        if (sessions_) request.session = std::string(fields_[4]);
        return true;
      }
      ++empty_;
    }
  }
  std::string where() const override { return rows_.where(); }
  std::string left_out() const override { return without_tokens(empty_); }

 private:
  CsvRows rows_;
  const bool sessions_;
  std::vector<std::string_view> fields_;
  Arrivals arrivals_;
  int64_t made_ = 0;
  int64_t empty_ = 0;
};

}  // namespace

bool looks_like_burstgpt(const std::string&, std::string_view head) {
  const std::string_view line = head.substr(0, head.find('\n'));
  return line.starts_with("Timestamp,") && line.find("Request tokens") != std::string_view::npos;
}

Result<std::unique_ptr<RequestReader>> open_burstgpt(const std::string& path, const TraceOptions&) {
  auto rows = CsvRows::open(path, kWithSession);
  const bool sessions = rows.has_value();
  if (!sessions) rows = CsvRows::open(path, kColumns);
  if (!rows) return std::move(rows).error();
  return std::unique_ptr<RequestReader>(
      std::make_unique<BurstGptReader>(std::move(*rows), sessions));
}

}  // namespace touchstone::workload
