// Markdown for step summaries and pull requests: what failed first, tables that stay short.
// Source: GitHub Flavored Markdown 0.29; a step summary holds at most 1 MiB, a comment 64 KiB.
#include <algorithm>

#include "base/text.h"
#include "reports/escape.h"
#include "reports/reports.h"
#include "reports/sightings.h"
#include "reports/summary.h"
#include "reports/wording.h"

namespace touchstone::reports {
namespace {

using result::CheckOutcome;
using result::Finding;
using result::Report;
using result::Verdict;

constexpr size_t kFindingsMax = 30;
constexpr size_t kRowsMax = 40;
constexpr size_t kCellColumns = 240;

std::string cell(std::string_view text) { return escape_markdown(shortened(text, kCellColumns)); }

std::string row(const std::vector<std::string>& cells) {
  return "| " + join(cells, " | ") + " |\n";
}

/// A heading, a table's head and its rows; empty without rows. `cells` are safe already.
std::string table(const std::string& title, const std::vector<std::string>& columns,
                  const std::vector<std::vector<std::string>>& rows, size_t rows_max) {
  if (rows.empty()) return "";
  std::string text = "\n### " + title + "\n\n" + row(columns) +
                     row(std::vector<std::string>(columns.size(), "---"));
  for (size_t i = 0; i < std::min(rows.size(), rows_max); ++i) text += row(rows[i]);
  if (rows.size() > rows_max) {
    text += "\n… and " + format_count(static_cast<int64_t>(rows.size() - rows_max)) +
            " more, in the full report\n";
  }
  return text;
}

const char* mark_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::kPass:
      return "✅";
    case Verdict::kFail:
      return "❌";
    case Verdict::kUnknown:
      return "❔";
    case Verdict::kSkip:
      return "➖";
  }
  return "❔";
}

std::string groups_table(const Report& report) {
  std::vector<std::vector<std::string>> rows;
  const auto number = [](int64_t n) { return n == 0 ? std::string("·") : format_count(n); };
  for (const GroupCounts& counts : counts_by_group(report)) {
    rows.push_back({cell(counts.group), number(counts.failed), number(counts.warned),
                    number(counts.unknown), number(counts.passed), number(counts.skipped)});
  }
  return table("Checks", {"group", "failed", "warned", "undecided", "passed", "not applicable"},
               rows, kRowsMax);
}

std::string findings_table(const Report& report) {
  std::vector<std::vector<std::string>> rows;
  for (const CheckOutcome& check : report.checks) {
    if (check.verdict == Verdict::kUnknown) {
      rows.push_back({mark_of(check.verdict), cell(check.id), cell(check.reason), "", ""});
    }
  }
  for (const auto& [check, finding] : findings_by_weight(report)) {
    const std::string place =
        finding->places.empty() ? finding->subject : result::to_string(finding->places.front());
    rows.push_back({cell(result::to_string(finding->level)), cell(check->id),
                    cell(finding->message), format_count(std::max<int64_t>(finding->count, 1)),
                    cell(place)});
  }
  return table("Findings", {"level", "check", "what", "times", "first at"}, rows, kFindingsMax);
}

std::string coverage_table(const Report& report) {
  std::vector<std::vector<std::string>> rows;
  for (const result::CoverageRow& coverage : report.coverage) {
    if (coverage.level == result::Level::kMay || coverage.present == coverage.total) continue;
    rows.push_back({cell(coverage.attribute), cell(coverage.span_type),
                    cell(result::to_string(coverage.level)),
                    format_count(coverage.present) + " of " + format_count(coverage.total)});
  }
  return table("Attributes that are missing", {"attribute", "span", "level", "present"}, rows,
               kRowsMax);
}

std::string sightings_table(const Report& report) {
  std::vector<std::vector<std::string>> rows;
  for (const result::Sighting& row : report.sightings) {
    if (!row.group.empty()) continue;
    rows.push_back({cell(result::coverage_word(row.present, row.total)), cell(row.attribute),
                    cell(row.span_type), cell(seen_text(row)), cell(join(row.missing_in, ", "))});
  }
  return table("Required attributes in this window",
               {"", "attribute", "span", "seen", "missing in"}, rows, kRowsMax);
}

std::string budgets_table(const Report& report) {
  std::vector<std::vector<std::string>> rows;
  for (const result::BudgetRow& budget : report.budgets) {
    std::string measured = budget.measured_s ? seconds_text(*budget.measured_s) : "–";
    if (budget.low_s && budget.high_s) {
      measured += " (" + format_fixed(budget.confidence * 100, 0) +
                  " %: " + seconds_text(*budget.low_s) + " to " + seconds_text(*budget.high_s) +
                  ")";
    }
    rows.push_back({mark_of(budget.verdict),
                    cell(budget.phase + " p" + format_double(budget.quantile * 100)),
                    seconds_text(budget.threshold_s), measured, format_count(budget.samples)});
  }
  return table("Latency budgets", {"", "phase", "budget", "measured", "samples"}, rows, kRowsMax);
}

std::string figures(const result::FigureTable& figures) {
  std::vector<std::string> columns = {""};
  for (const std::string& column : figures.columns) columns.push_back(cell(column));
  columns.emplace_back("unit");
  std::vector<std::vector<std::string>> rows;
  for (const result::Figure& figure : figures.rows) {
    std::vector<std::string> cells = {cell(figure.name)};
    for (const std::string& column : figures.columns) {
      std::string text;
      for (const result::Cell& value : figure.values) {
        if (value.column == column) text = cell_text(figure.unit, value);
      }
      cells.push_back(text);
    }
    cells.push_back(figure.unit == "s" ? "" : cell(figure.unit));
    rows.push_back(std::move(cells));
  }
  return table(cell(figures.title), columns, rows, kRowsMax);
}

std::string comparison(const result::ComparisonTable& comparison) {
  std::vector<std::vector<std::string>> rows;
  for (const result::Comparison& one : comparison.rows) {
    rows.push_back({cell(one.name), figure_text(one.unit, one.baseline),
                    figure_text(one.unit, one.value), difference_text(one),
                    result::to_string(one.change)});
  }
  return table(cell(comparison.title),
               {"", cell(comparison.baseline), cell(comparison.value), "difference", ""}, rows,
               kRowsMax);
}

}  // namespace

std::string to_markdown(const Report& report) {
  std::string text = "## " + std::string(mark_of(report.verdict)) + " " + cell(report.title) +
                     ": " + verdict_word(report.verdict) + "\n";
  if (!report.summary.empty()) text += "\n" + cell(report.summary) + "\n";
  text += findings_table(report) + groups_table(report) + coverage_table(report) +
          sightings_table(report) + budgets_table(report);
  for (const result::FigureTable& one : report.tables) {
    if (!one.detail) text += figures(one);
  }
  for (const result::ComparisonTable& one : report.comparisons) text += comparison(one);
  if (!report.notes.empty()) text += "\n";
  for (const std::string& note : report.notes) text += "* " + cell(note) + "\n";
  if (!report.provenance.command.empty()) text += "\n" + cell(report.provenance.command) + "\n";
  return text;
}

}  // namespace touchstone::reports
