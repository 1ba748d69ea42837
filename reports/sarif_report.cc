// SARIF, as code scanning reads it.
// Source: OASIS Static Analysis Results Interchange Format (SARIF) 2.1.0.
#include <map>
#include <nlohmann/json.hpp>

#include "base/sha256.h"
#include "base/text.h"
#include "reports/reports.h"
#include "reports/summary.h"

namespace touchstone::reports {
namespace {

using nlohmann::ordered_json;
using result::CheckOutcome;
using result::Finding;
using result::Report;
using result::Verdict;

constexpr char kSchema[] =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// A path as a relative or absolute URI reference (RFC 3986): what may not stand there is encoded.
std::string uri_of(const std::string& path) {
  constexpr std::string_view kPlain = "-._~/!$&'()*+,;=@";
  std::string uri;
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
                       (byte >= 'A' && byte <= 'Z') || kPlain.find(c) != std::string_view::npos;
    if (plain) {
      uri += c;
    } else {
      constexpr char kDigits[] = "0123456789ABCDEF";
      uri += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
    }
  }
  return uri;
}

ordered_json physical(const result::Location& location) {
  ordered_json json = {{"artifactLocation", {{"uri", uri_of(location.file)}}}};
  if (location.line > 0) json["region"] = {{"startLine", location.line}};
  return json;
}

/// Code scanning refuses results without a file: what has none points to the full report.
const result::Location kReport = {.file = "report.json", .line = 0};

/// The line that demands it comes first: it is a file of the repository, where the input is not.
ordered_json location_of(const Finding& finding) {
  ordered_json location = ordered_json::object();
  const result::Place first = finding.places.empty() ? result::Place() : finding.places.front();
  if (!finding.rule.file.empty()) {
    location["physicalLocation"] = physical(finding.rule);
  } else if (!first.input.file.empty()) {
    location["physicalLocation"] = physical(first.input);
  } else {
    location["physicalLocation"] = physical(kReport);
  }
  const std::string place = result::to_string(first);
  location["logicalLocations"] = ordered_json::array(
      {ordered_json{{"name", finding.subject},
                    {"fullyQualifiedName", place.empty() ? finding.subject : place},
                    {"kind", finding.signal.empty() ? "object" : finding.signal}}});
  return location;
}

ordered_json related_locations(const Finding& finding) {
  ordered_json related = ordered_json::array();
  for (const result::Place& place : finding.places) {
    ordered_json one = {{"message", {{"text", result::to_string(place)}}}};
    if (!place.input.file.empty()) one["physicalLocation"] = physical(place.input);
    related.push_back(std::move(one));
  }
  return related;
}

const char* level_word(const Finding& finding, const Report& report) {
  if (finding.level <= report.fail_on) return "error";
  return finding.level == result::Level::kMay ? "note" : "warning";
}

/// The same defect has the same fingerprint in every run, whatever its trace is called.
std::string fingerprint(const Finding& finding) {
  return sha256_hex(finding.check_id + '\n' + result::to_string(finding.rule) + '\n' +
                    finding.signal + '\n' + finding.expected);
}

ordered_json result_of(const Finding& finding, size_t rule_index, const Report& report) {
  ordered_json properties = ordered_json::object();
  for (const auto& [key, value] : finding.context) properties[key] = value;
  if (!finding.expected.empty()) properties["expected"] = finding.expected;
  if (!finding.actual.empty()) properties["actual"] = finding.actual;
  return {{"ruleId", finding.check_id},
          {"ruleIndex", rule_index},
          {"level", level_word(finding, report)},
          {"message", {{"text", finding.message}}},
          {"locations", ordered_json::array({location_of(finding)})},
          {"relatedLocations", related_locations(finding)},
          {"occurrenceCount", std::max<int64_t>(finding.count, 1)},
          {"partialFingerprints", {{"touchstone/v1", fingerprint(finding)}}},
          {"properties", std::move(properties)}};
}

ordered_json rule_of(const CheckOutcome& check) {
  ordered_json rule = {{"id", check.id}, {"name", check.id}};
  rule["shortDescription"] = {{"text", check.title}};
  rule["fullDescription"] = {{"text", std::string(result::to_string(check.level)) + ": " +
                                          check.title + ". Source: " + check.source}};
  rule["properties"] = {{"tags", ordered_json::array({check.group})}};
  return rule;
}

/// A budget that is missed is a result, and one that cannot be decided a notification.
void add_budgets(const Report& report, ordered_json& rules, ordered_json& results,
                 ordered_json& notifications) {
  for (const result::BudgetRow& budget : report.budgets) {
    if (budget.verdict == Verdict::kPass || budget.verdict == Verdict::kSkip) continue;
    const std::string text = budget_name(budget) + ": " + (budget.measured_s ? "measured " : "") +
                             budget_measured(budget);
    if (budget.verdict == Verdict::kUnknown) {
      notifications.push_back(
          {{"level", "warning"}, {"message", {{"text", "undecided: " + text}}}});
      continue;
    }
    results.push_back({{"ruleId", "budget"},
                       {"ruleIndex", rules.size()},
                       {"level", "error"},
                       {"message", {{"text", text}}},
                       {"locations", ordered_json::array(
                                         {ordered_json{{"physicalLocation", physical(kReport)}}})},
                       {"partialFingerprints",
                        {{"touchstone/v1", sha256_hex("budget\n" + budget.phase + '\n' +
                                                      format_double(budget.quantile))}}}});
  }
  const bool missed = !results.empty() && results.back()["ruleId"] == "budget";
  if (missed) {
    rules.push_back({{"id", "budget"},
                     {"name", "budget"},
                     {"shortDescription", {{"text", "A latency budget of the suite or profile"}}}});
  }
}

ordered_json invocation_of(const Report& report, ordered_json notifications) {
  ordered_json invocation = {{"executionSuccessful", report.verdict != Verdict::kUnknown},
                             {"exitCode", result::exit_code(report)}};
  if (!report.provenance.command.empty()) invocation["commandLine"] = report.provenance.command;
  invocation["toolExecutionNotifications"] = std::move(notifications);
  return invocation;
}

}  // namespace

std::string to_sarif(const Report& report) {
  ordered_json rules = ordered_json::array(), results = ordered_json::array();
  ordered_json notifications = ordered_json::array(), artifacts = ordered_json::array();
  for (const CheckOutcome& check : report.checks) {
    for (const Finding& finding : check.findings) {
      results.push_back(result_of(finding, rules.size(), report));
    }
    if (check.verdict == Verdict::kUnknown) {
      notifications.push_back({{"level", "warning"},
                               {"message", {{"text", "undecided: " + check.reason}}},
                               {"associatedRule", {{"id", check.id}, {"index", rules.size()}}}});
    }
    rules.push_back(rule_of(check));
  }
  add_budgets(report, rules, results, notifications);
  for (const std::string& note : report.notes) {
    notifications.push_back({{"level", "note"}, {"message", {{"text", note}}}});
  }
  for (const auto& [name, digest] : report.provenance.digests) {
    artifacts.push_back({{"location", {{"uri", uri_of(name)}}}, {"hashes", {{"sha-256", digest}}}});
  }
  const ordered_json run = {
      {"tool",
       {{"driver",
         {{"name", "touchstone"},
          {"version", report.provenance.tool_version},
          {"rules", std::move(rules)}}}}},
      {"automationDetails", {{"id", report.title + "/"}}},
      {"invocations", ordered_json::array({invocation_of(report, std::move(notifications))})},
      {"artifacts", std::move(artifacts)},
      {"results", std::move(results)},
      {"properties",
       {{"verdict", result::to_string(report.verdict)}, {"summary", report.summary}}}};
  const ordered_json log = {
      {"$schema", kSchema}, {"version", "2.1.0"}, {"runs", ordered_json::array({run})}};
  return log.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace touchstone::reports
