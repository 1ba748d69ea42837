#include "reports/html_parts.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/text.h"
#include "reports/escape.h"
#include "reports/wording.h"

namespace touchstone::reports {
namespace {

using result::CheckOutcome;
using result::Finding;
using result::Level;
using result::Report;
using result::Verdict;

// A page of ten thousand findings helps nobody and must still open; the JSON report has all.
constexpr size_t kFindingsMax = 2000;

std::string pill(const std::string& text, const std::string& kind) {
  return "<span class=\"pill " + kind + "\">" + escape_markup(text) + "</span>";
}

std::string percent(double share) { return format_fixed(std::clamp(share, 0.0, 1.0) * 100, 2); }

std::string finding_html(const CheckOutcome& check, const Finding& finding) {
  const std::string level = to_lower(result::to_string(finding.level));
  std::string rows;
  const auto add = [&](const std::string& name, const std::string& value) {
    if (!value.empty()) {
      rows +=
          "<dt>" + escape_markup(name) + "</dt><dd><code>" + escape_markup(value) + "</code></dd>";
    }
  };
  add("expected", finding.expected);
  add("actual", finding.actual);
  add("subject", finding.subject);
  for (const auto& [key, value] : finding.context) add(key, value);
  add("rule", result::to_string(finding.rule));
  std::string places;
  for (const result::Place& place : finding.places) {
    places += "<div>" + escape_markup(result::to_string(place)) + "</div>";
  }
  const std::string count =
      finding.count > 1 ? pill("× " + format_count(finding.count), "plain") : "";
  std::string out =
      "<details class=\"card finding l-" + level + "\" data-level=\"" + level + "\"><summary>" +
      pill(result::to_string(finding.level), finding.level == Level::kMust ? "fail" : "warn") +
      "<span class=\"text\">" + escape_markup(finding.message) + "<code class=\"id\">" +
      escape_markup(check.id) + "</code></span>" + count + "</summary><div class=\"body\"><dl>" +
      rows + "<dt>source</dt><dd>" + escape_markup(check.source) + "</dd></dl>";
  if (!places.empty()) {
    out += "<div class=\"places mono\">" + places + "</div>";
  }
  return out + "</div></details>";
}

std::string check_row(const CheckOutcome& check, const Report& report) {
  const bool warns = check.verdict == Verdict::kFail && !result::fails_report(check, report);
  const std::string kind = warns ? "warn" : result::to_string(check.verdict);
  return "<tr data-verdict=\"" + kind + "\"><td>" +
         pill(warns ? "WARN" : verdict_word(check.verdict), kind) + "</td><td>" +
         escape_markup(check.title) + "<br><code class=\"skip\">" + escape_markup(check.id) +
         "</code></td><td>" + result::to_string(check.level) + "</td><td class=\"n\">" +
         format_count(check.examined) + "</td><td><span class=\"why\">" +
         escape_markup(check.reason) +
         "</span><details class=\"source\"><summary>source</summary>" +
         escape_markup(check.source) + "</details></td></tr>";
}

std::string coverage_row(const result::CoverageRow& row) {
  const bool optional = row.level == Level::kMay;
  const bool full = row.present == row.total;
  const double share =
      row.total == 0 ? 0 : static_cast<double>(row.present) / static_cast<double>(row.total);
  const char* word = optional           ? "OPTIONAL"
                     : full             ? "PASS"
                     : row.present == 0 ? "MISSING"
                                        : "PARTIAL";
  const char* kind = optional ? "skip" : full ? "pass" : "fail";
  return "<tr><td><code>" + escape_markup(row.attribute) + "</code></td><td>" +
         escape_markup(row.span_type) + "</td><td><span class=\"meter" +
         (optional ? " optional"
          : full   ? ""
                   : " partial") +
         "\"><i style=\"width:" + percent(share) + "%\"></i></span></td><td class=\"n\">" +
         format_count(row.present) + " / " + format_count(row.total) + "</td><td>" +
         pill(word, kind) + "</td></tr>";
}

/// Interval, measured value and threshold on one axis from zero.
std::string range_html(const result::BudgetRow& row) {
  if (!row.measured_s || !std::isfinite(*row.measured_s)) return "";
  const double low = row.low_s.value_or(*row.measured_s);
  const double high = row.high_s.value_or(*row.measured_s);
  const double end = std::max({high, row.threshold_s, *row.measured_s}) * 1.08;
  if (!(end > 0)) return "";
  return "<span class=\"range\" title=\"interval, measured value, threshold\"><i style=\"left:" +
         percent(low / end) + "%;width:" + percent((high - low) / end) +
         "%\"></i><b style=\"left:" + percent(*row.measured_s / end) +
         "%\"></b><u style=\"left:" + percent(row.threshold_s / end) + "%\"></u></span>";
}

std::string table_html(const result::FigureTable& table) {
  std::string out =
      "<div class=\"card\"><h3>" + escape_markup(table.title) + "</h3><table><tr><th></th>";
  for (const std::string& column : table.columns) {
    out += "<th class=\"n\">" + escape_markup(column) + "</th>";
  }
  out += "</tr>";
  for (const result::Figure& row : table.rows) {
    const bool has_unit = !row.unit.empty() && row.unit != "s";
    out += "<tr><td>" + escape_markup(row.name) +
           (has_unit ? " <span class=\"why\">" + escape_markup(row.unit) + "</span>" : "") +
           "</td>";
    for (const std::string& column : table.columns) {
      std::string cell;
      for (const result::Cell& value : row.values) {
        if (value.column == column) cell = cell_text(row.unit, value);
      }
      out += "<td class=\"n\">" + cell + "</td>";
    }
    out += "</tr>";
  }
  out += "</table>";
  for (const std::string& note : table.notes) {
    out += "<p class=\"why skip\">" + escape_markup(note) + "</p>";
  }
  return out + "</div>";
}

std::string comparison_html(const result::ComparisonTable& table) {
  std::string out = "<div class=\"card\"><h3>" + escape_markup(table.title) +
                    "</h3><table><tr><th></th><th class=\"n\">" + escape_markup(table.baseline) +
                    "</th><th class=\"n\">" + escape_markup(table.value) +
                    "</th><th class=\"n\">difference</th><th></th></tr>";
  for (const result::Comparison& row : table.rows) {
    const char* kind = row.change == result::Comparison::Change::kWorse     ? "fail"
                       : row.change == result::Comparison::Change::kUnknown ? "skip"
                                                                            : "pass";
    out += "<tr><td>" + escape_markup(row.name) + "</td><td class=\"n\">" +
           figure_text(row.unit, row.baseline) + "</td><td class=\"n\">" +
           figure_text(row.unit, row.value) + "</td><td class=\"n\">" + difference_text(row) +
           "</td><td>" + pill(result::to_string(row.change), kind) + "</td></tr>";
  }
  out += "</table>";
  for (const std::string& note : table.notes) {
    out += "<p class=\"why skip\">" + escape_markup(note) + "</p>";
  }
  return out + "</div>";
}

}  // namespace

HtmlPart findings_html(const Report& report) {
  std::vector<std::pair<const CheckOutcome*, const Finding*>> findings;
  for (const CheckOutcome& check : report.checks) {
    for (const Finding& finding : check.findings) findings.emplace_back(&check, &finding);
  }
  if (report.checks.empty()) return {};
  if (findings.empty()) return {"<div class=\"card none\">No findings.</div>", 0};
  std::stable_sort(findings.begin(), findings.end(),
                   [](const auto& a, const auto& b) { return a.second->level < b.second->level; });
  HtmlPart part;
  part.count = static_cast<int64_t>(findings.size());
  part.body =
      "<div class=\"tools\" id=\"tools\" hidden><input type=\"search\" id=\"search\" "
      "placeholder=\"Search attribute, span, trace, check…\" aria-label=\"Search findings\">";
  for (const char* level : {"must", "should", "may"}) {
    part.body += "<button type=\"button\" aria-pressed=\"false\" data-level-filter=\"" +
                 std::string(level) + "\">" + level + "</button>";
  }
  part.body += "<span class=\"count\" id=\"shown\"></span></div>";
  const size_t shown = std::min(findings.size(), kFindingsMax);
  for (size_t i = 0; i < shown; ++i) {
    part.body += finding_html(*findings[i].first, *findings[i].second);
  }
  if (shown < findings.size()) {
    part.body += "<p class=\"none\">" +
                 format_count(static_cast<int64_t>(findings.size() - shown)) +
                 " more findings are in the JSON report.</p>";
  }
  return part;
}

std::string checks_html(const Report& report) {
  if (report.checks.empty()) return "";
  std::vector<std::string> groups;
  for (const CheckOutcome& check : report.checks) {
    if (std::find(groups.begin(), groups.end(), check.group) == groups.end()) {
      groups.push_back(check.group);
    }
  }
  std::string out =
      "<div class=\"tools\"><button type=\"button\" id=\"only-failing\" aria-pressed=\"false\" "
      "hidden>Only failing and undecided</button></div><div class=\"card\"><table><tr><th>Verdict"
      "</th><th>Check</th><th>Level</th><th class=\"n\">Examined</th><th>Why</th></tr>";
  for (const std::string& group : groups) {
    out += "<tr class=\"group\"><td colspan=\"5\">" + escape_markup(group) + "</td></tr>";
    for (const CheckOutcome& check : report.checks) {
      if (check.group == group) out += check_row(check, report);
    }
  }
  return out + "</table></div>";
}

std::string coverage_html(const Report& report) {
  if (report.coverage.empty()) return "";
  std::vector<std::string> namespaces;
  for (const result::CoverageRow& row : report.coverage) {
    if (std::find(namespaces.begin(), namespaces.end(), row.name_space) == namespaces.end()) {
      namespaces.push_back(row.name_space);
    }
  }
  std::string out =
      "<div class=\"card\"><table><tr><th>Attribute</th><th>Span type</th><th>Present"
      "</th><th class=\"n\">Spans</th><th></th></tr>";
  for (const std::string& name_space : namespaces) {
    int64_t present = 0;
    int64_t total = 0;
    for (const result::CoverageRow& row : report.coverage) {
      if (row.name_space != name_space || row.level == Level::kMay) continue;
      present += row.present;
      total += row.total;
    }
    out += "<tr class=\"group\"><td colspan=\"5\">" + escape_markup(name_space);
    if (total > 0) {
      out += "<span class=\"count\">" +
             format_fixed(static_cast<double>(present) / static_cast<double>(total) * 100, 1) +
             " % of what is required</span>";
    }
    out += "</td></tr>";
    for (const result::CoverageRow& row : report.coverage) {
      if (row.name_space == name_space) out += coverage_row(row);
    }
  }
  return out + "</table></div>";
}

std::string budgets_html(const Report& report) {
  if (report.budgets.empty()) return "";
  std::string out =
      "<div class=\"card\"><table><tr><th>Phase</th><th>Quantile</th><th class=\"n\">Threshold</th>"
      "<th class=\"n\">Measured</th><th>Interval</th><th></th><th class=\"n\">Samples</th><th></th>"
      "</tr>";
  for (const result::BudgetRow& row : report.budgets) {
    const std::string interval =
        row.low_s && row.high_s ? seconds_text(*row.low_s) + " to " + seconds_text(*row.high_s) +
                                      " (" + format_fixed(row.confidence * 100, 0) + " %)"
                                : "sample too small";
    out += "<tr><td>" + escape_markup(row.phase) + "</td><td>p" +
           format_double(row.quantile * 100) + "</td><td class=\"n\">" +
           seconds_text(row.threshold_s) + "</td><td class=\"n\">" +
           (row.measured_s ? seconds_text(*row.measured_s) : "–") + "</td><td>" + interval +
           "</td><td>" + range_html(row) + "</td><td class=\"n\">" + format_count(row.samples) +
           "</td><td>" + pill(verdict_word(row.verdict), result::to_string(row.verdict)) +
           "</td></tr>";
  }
  return out + "</table></div>";
}

std::string tables_html(const Report& report) {
  std::string out;
  for (const result::FigureTable& table : report.tables) out += table_html(table);
  for (const result::ComparisonTable& table : report.comparisons) out += comparison_html(table);
  return out.empty() ? out : "<div class=\"grid\">" + out + "</div>";
}

std::string waterfall_html(const result::Waterfall& waterfall) {
  double end = 0;
  for (const result::WaterfallBar& bar : waterfall.bars) end = std::max(end, bar.end_s);
  if (!(end > 0)) end = 1e-9;
  std::string out = "<div class=\"card\"><h3>" + escape_markup(waterfall.title) +
                    "</h3><div class=\"fall\"><div></div><div class=\"scale\">";
  constexpr int kParts = 5;
  out += "<span>0</span>";
  for (int i = 1; i <= kParts; ++i) out += "<span>" + seconds_text(end * i / kParts) + "</span>";
  out += "</div>";
  std::string details;
  for (size_t i = 0; i < waterfall.bars.size(); ++i) {
    const result::WaterfallBar& bar = waterfall.bars[i];
    const double left = bar.start_s / end;
    const double width = (bar.end_s - bar.start_s) / end;
    // The label stands right of its bar; left of it, or at last inside, where there is no room.
    const bool inside = left + width >= 0.85 && left <= 0.15;
    const std::string label = inside                 ? "right:" + percent(1 - left - width)
                              : left + width >= 0.85 ? "right:" + percent(1 - left)
                                                     : "left:" + percent(left + width);
    out += "<div class=\"name\" style=\"padding-left:" + std::to_string(bar.depth * 16) +
           "px\" title=\"" + escape_markup(bar.label) + "\">" + escape_markup(bar.label) +
           "</div><div class=\"track\"><span class=\"span b" + std::to_string(i % 8) +
           "\" style=\"left:" + percent(left) + "%;width:" + percent(width) +
           "%\"></span><span class=\"label" + (inside ? " inside" : "") + "\" style=\"" + label +
           "%\">" + seconds_text(bar.end_s - bar.start_s) + "</span></div>";
    if (!bar.attributes.empty()) {
      details += "<dt><b>" + escape_markup(bar.label) + "</b></dt><dd></dd>";
    }
    for (const auto& [name, value] : bar.attributes) {
      details +=
          "<dt>" + escape_markup(name) + "</dt><dd><code>" + escape_markup(value) + "</code></dd>";
    }
  }
  out += "</div>";
  if (!details.empty()) {
    out +=
        "<details class=\"source\"><summary>attributes</summary><dl>" + details + "</dl></details>";
  }
  return out + "</div>";
}

}  // namespace touchstone::reports
