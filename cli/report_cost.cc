#include "cli/report_cost.h"

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "cli/output.h"
#include "records/request_record.h"
#include "records/step_log.h"
#include "telemetry/cost/cost_report.h"
#include "telemetry/cost/gpu_hours.h"
#include "telemetry/otlp/file.h"

namespace touchstone::cli {
namespace {

struct Flags {
  std::vector<std::string> spans;
  std::vector<std::string> records;
  std::string prices;
  std::string steps;
  std::string gpu_hour;
  std::string format = "text";
};

std::string text_of(const telemetry::CostReport& report) {
  std::string text;
  const auto line = [&](const std::string& tenant, const std::string& model,
                        const std::string& requests, const std::string& prompt,
                        const std::string& cached, const std::string& completion,
                        const std::string& cost) {
    char row[512];
    std::snprintf(row, sizeof(row), "%-24s %-24s %10s %14s %14s %14s %16s\n", tenant.c_str(),
                  model.c_str(), requests.c_str(), prompt.c_str(), cached.c_str(),
                  completion.c_str(), cost.c_str());
    text += row;
  };
  const auto add = [&](const std::string& tenant, const std::string& model,
                       const telemetry::CostRow& row) {
    line(tenant, model, format_count(row.requests), format_count(row.usage.prompt_tokens),
         format_count(row.usage.cached_tokens), format_count(row.usage.completion_tokens),
         row.cost.text());
  };
  line("tenant", "model", "requests", "prompt tokens", "of them cached", "completion", "USD");
  for (const auto& [key, row] : report.rows()) {
    add(key.first.empty() ? "-" : key.first, key.second, row);
  }
  add("total", "", report.total());
  return text;
}

std::string json_of(const telemetry::CostReport& report) {
  const auto fields = [](const telemetry::CostRow& row) {
    return nlohmann::ordered_json{{"requests", row.requests},
                                  {"prompt_tokens", row.usage.prompt_tokens},
                                  {"cached_tokens", row.usage.cached_tokens},
                                  {"completion_tokens", row.usage.completion_tokens},
                                  {"cost_usd", row.cost.text()}};
  };
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const auto& [key, row] : report.rows()) {
    nlohmann::ordered_json one = {{"tenant", key.first}, {"model", key.second}};
    one.update(fields(row));
    rows.push_back(std::move(one));
  }
  return nlohmann::ordered_json{{"rows", std::move(rows)}, {"total", fields(report.total())}}.dump(
             2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) +
         "\n";
}

Status add_spans(const std::string& path, telemetry::CostReport& report) {
  const auto summary =
      telemetry::read_otlp_file(path, [&](telemetry::TraceBatch& batch, int64_t line) -> Status {
        Status added = report.add(batch);
        if (added) return {};
        return std::move(added).error().with_context(path + ":" + std::to_string(line));
      });
  if (!summary) return summary.error();
  if (summary->problem_count > 0) {
    return malformed(summary->problems.front() + " (" + format_count(summary->problem_count) +
                     " problems)");
  }
  return {};
}

Status add_records(const std::string& path, telemetry::CostReport& report) {
  const auto records = records::read_request_records(path);
  if (!records) return records.error();
  for (const records::RequestRecord& record : *records) {
    Status added = report.add(record);
    if (!added) return std::move(added).error().with_context(path);
  }
  return {};
}

/// By the time in which each kept the accelerator busy.
Status add_by_time(const Flags& flags, telemetry::CostReport& report) {
  const auto hour = telemetry::parse_usd(flags.gpu_hour);
  if (!hour) {
    return invalid_argument("--gpu-hour: got " + quote(flags.gpu_hour) +
                            ", expected USD as a plain decimal number");
  }
  if (flags.steps.empty() || flags.records.size() != 1) {
    return invalid_argument("--gpu-hour: got no --steps with one --records, expected both",
                            "serve writes them with --step-log and --request-log");
  }
  const auto log = records::read_step_log(flags.steps);
  if (!log) return log.error();
  const auto records = records::read_request_records(flags.records.front());
  if (!records) return records.error();
  const auto busy = telemetry::busy_time(*log);
  for (const records::RequestRecord& record : *records) {
    const auto found = busy.find(record.id);
    report.add(record,
               found == busy.end() ? telemetry::Cost() : cost_of_time(*hour, found->second));
  }
  return {};
}

Status add_by_price(const Flags& flags, telemetry::CostReport& report) {
  for (const std::string& path : flags.spans) RETURN_IF_ERROR(add_spans(path, report));
  for (const std::string& path : flags.records) RETURN_IF_ERROR(add_records(path, report));
  return {};
}

Exit run(const Flags& flags) {
  if (flags.spans.empty() == flags.records.empty()) {
    return report_error(
        invalid_argument("report cost: got neither or both of --spans and "
                         "--records, expected one of them"));
  }
  if (flags.prices.empty() == flags.gpu_hour.empty()) {
    return report_error(
        invalid_argument("report cost: got neither or both of --price-table and "
                         "--gpu-hour, expected one of them"));
  }
  std::optional<telemetry::PriceTable> prices;
  if (!flags.prices.empty()) {
    auto read = telemetry::PriceTable::read(flags.prices);
    if (!read) return report_error(read.error());
    prices = *std::move(read);
  }
  telemetry::CostReport report(prices ? &*prices : nullptr);
  const Status added = prices ? add_by_price(flags, report) : add_by_time(flags, report);
  if (!added) return report_error(added.error());
  if (report.scopes().size() > 1) {
    return report_error(
        invalid_argument("report cost: got spans of the scopes " +
                             join({report.scopes().begin(), report.scopes().end()}, ", ") +
                             ", expected one: a request would be counted for each",
                         "serve with one span dialect, or use --records"));
  }
  // Nothing that was used is no result: the wrong file looks the same.
  if (report.rows().empty()) {
    return report_error(unavailable("report cost: got no request with token counts"));
  }
  const Status printed = print(flags.format == "json" ? json_of(report) : text_of(report));
  return printed ? Exit::kGood : report_error(printed.error());
}

}  // namespace

std::function<std::optional<Exit>()> add_report_cost(CLI::App& report) {
  CLI::App* cost = report.add_subcommand("cost", "Who used how much, and what it costs");
  const auto flags = std::make_shared<Flags>();
  cost->add_option("--spans", flags->spans, "File of spans, as the Collector writes it")
      ->type_name("FILE");
  cost->add_option("--records", flags->records, "Request records, as `serve --request-log` writes")
      ->type_name("FILE");
  cost->add_option("--price-table", flags->prices, "YAML file with what tokens cost")
      ->type_name("FILE");
  cost->add_option("--gpu-hour", flags->gpu_hour,
                   "USD for an hour of all accelerators: what each request kept busy costs; needs "
                   "--steps and --records");
  cost->add_option("--steps", flags->steps, "Step log, as `serve --step-log` writes")
      ->type_name("FILE");
  cost->add_option("--format", flags->format, "text or json")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
  cost->footer(
      "Example:\n  touchstone report cost --records requests.jsonl --price-table prices.yaml");
  return [cost, flags]() -> std::optional<Exit> {
    if (!cost->parsed()) return std::nullopt;
    return run(*flags);
  };
}

}  // namespace touchstone::cli
