// The report for a terminal: one screen, the worst first.
#include <algorithm>
#include <filesystem>
#include <map>

#include "base/text.h"
#include "reports/escape.h"
#include "reports/reports.h"
#include "reports/sightings.h"
#include "reports/summary.h"
#include "reports/text_writer.h"
#include "reports/waterfall_text.h"
#include "reports/wording.h"

namespace touchstone::reports {
namespace {

using result::CheckOutcome;
using result::Finding;
using result::Report;
using result::Verdict;

// Two samples say enough on one screen; the HTML report has all.
constexpr size_t kSamplesMax = 2;
constexpr size_t kFindingLinesMax = 3;
constexpr size_t kNoteLinesMax = 2;

Color color_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::kPass:
      return Color::kGreen;
    case Verdict::kFail:
      return Color::kRed;
    case Verdict::kUnknown:
      return Color::kYellow;
    case Verdict::kSkip:
      return Color::kGray;
  }
  return Color::kGray;
}

void write_checks(const Report& report, TextWriter& writer) {
  if (report.checks.empty()) return;
  const std::vector<GroupCounts> groups = counts_by_group(report);
  writer.heading("Checks");
  const auto flow = [&](const char* label, int64_t GroupCounts::*count, Color color) {
    std::vector<std::string> items;
    for (const GroupCounts& group : groups) {
      if (const int64_t n = group.*count; n > 0) {
        items.push_back(group.group + " " + std::to_string(n));
      }
    }
    writer.flow(label, items, color);
  };
  flow("failed", &GroupCounts::failed, Color::kRed);
  flow("warned", &GroupCounts::warned, Color::kYellow);
  flow("undecided", &GroupCounts::unknown, Color::kYellow);
  flow("passed", &GroupCounts::passed, Color::kGreen);
  flow("not applicable", &GroupCounts::skipped, Color::kGray);
}

std::string place_of(const Finding& finding) {
  const result::Place first = finding.places.empty() ? result::Place() : finding.places.front();
  std::string place;
  if (!first.span_id.empty()) {
    place = "trace " + first.trace_id + " span " + first.span_id;
  } else if (!first.request.empty()) {
    place = first.request.starts_with("request ") ? first.request : "request " + first.request;
  } else if (const auto hop = finding.context.find("hop"); hop != finding.context.end()) {
    place = hop->second;
  } else {
    place = result::to_string(first);
  }
  if (place.empty()) place = finding.subject;
  if (finding.count > 1) place += " and " + format_count(finding.count - 1) + " more";
  const std::string rule = result::to_string(finding.rule);
  if (!rule.empty()) place += "; rule " + rule;
  return place;
}

void write_findings(const Report& report, TextWriter& writer) {
  const std::vector<CheckFinding> findings = findings_by_weight(report);
  for (const CheckOutcome& check : report.checks) {
    if (check.verdict != Verdict::kUnknown) continue;
    if (findings.empty()) writer.heading("Undecided");
    writer.line("  " + writer.painted("?", Color::kYellow) + " " +
                writer.cut(check.id + ": " + check.reason, 4));
  }
  if (findings.empty()) return;
  writer.heading("Findings");
  const auto shown = std::min(findings.size(), static_cast<size_t>(writer.options().findings_max));
  for (size_t i = 0; i < shown; ++i) {
    const auto& [check, finding] = findings[i];
    const Color color = finding->level == result::Level::kMust ? Color::kRed : Color::kYellow;
    const std::vector<std::string> lines =
        writer.wrapped(check->id + ": " + finding->message, 9, kFindingLinesMax);
    writer.line("  " + writer.painted(padded(result::to_string(finding->level), 6), color) + " " +
                lines[0]);
    for (size_t part = 1; part < lines.size(); ++part) writer.line("         " + lines[part]);
    writer.line("         " + writer.painted(writer.cut(place_of(*finding), 9), Color::kGray));
  }
  if (shown < findings.size()) {
    writer.line("  … and " + format_count(static_cast<int64_t>(findings.size() - shown)) +
                " more findings, in the full report");
  }
}

/// Namespaces whose required attributes are on every span share one line; the others get their own.
void write_coverage(const Report& report, TextWriter& writer) {
  struct Share {
    int64_t complete = 0, required = 0, present = 0, total = 0;
  };
  std::vector<std::string> order;
  std::map<std::string, Share> shares;
  for (const result::CoverageRow& row : report.coverage) {
    if (row.level == result::Level::kMay) continue;
    if (!shares.contains(row.name_space)) order.push_back(row.name_space);
    Share& share = shares[row.name_space];
    ++share.required;
    share.complete += row.present == row.total;
    share.present += row.present;
    share.total += row.total;
  }
  if (order.empty()) return;
  writer.heading("Required attributes");
  std::vector<std::string> everywhere;
  for (const std::string& name : order) {
    const Share& share = shares[name];
    if (share.complete == share.required) {
      everywhere.push_back(name + " " + std::to_string(share.required));
      continue;
    }
    const double ratio = static_cast<double>(share.present) / static_cast<double>(share.total);
    writer.flow(format_fixed(ratio * 100, 1) + " %",
                {name + ": " + std::to_string(share.complete) + " of " +
                 std::to_string(share.required) + " attributes on every span"},
                Color::kRed);
  }
  writer.flow("on every span", everywhere, Color::kGreen);
}

void write_budgets(const Report& report, TextWriter& writer) {
  if (report.budgets.empty()) return;
  writer.heading("Latency budgets");
  for (const result::BudgetRow& row : report.budgets) {
    std::string line = "  " + padded(plain_line(row.phase), 10) + "p" +
                       padded(format_double(row.quantile * 100), 5) +
                       " <= " + padded(seconds_text(row.threshold_s), 10);
    line += writer.painted(padded(verdict_word(row.verdict), 8), color_of(row.verdict));
    if (row.measured_s) line += seconds_text(*row.measured_s) + " ";
    if (row.low_s && row.high_s) {
      line += "(" + format_fixed(row.confidence * 100, 0) + " %: " + seconds_text(*row.low_s) +
              " to " + seconds_text(*row.high_s) + ") ";
    }
    line += "of " + format_count(row.samples) + " samples";
    writer.line(line);
  }
}

void write_notes(const std::vector<std::string>& notes, TextWriter& writer) {
  for (const std::string& note : notes) {
    for (const std::string& line : writer.wrapped(note, 2, kNoteLinesMax)) {
      writer.line("  " + line);
    }
  }
}

void write_table(const result::FigureTable& table, TextWriter& writer) {
  // Intervals stand beside their values where the line is wide enough for all columns.
  bool intervals = std::any_of(table.rows.begin(), table.rows.end(), [](const result::Figure& row) {
    return std::any_of(row.values.begin(), row.values.end(),
                       [](const result::Cell& cell) { return cell.interval.has_value(); });
  });
  const std::string title = plain_line(table.title);
  size_t name_width = std::max<size_t>(26, width_of(title));
  for (const result::Figure& row : table.rows) {
    name_width = std::max(name_width, width_of(plain_line(row.name)) + 2);
  }
  constexpr size_t kColumn = 14, kIntervalColumn = 36;
  intervals = intervals && name_width + kIntervalColumn * table.columns.size() <=
                               static_cast<size_t>(writer.options().width);
  const size_t column_width = intervals ? kIntervalColumn : kColumn;
  std::string header(name_width + 2 - width_of(title), ' ');
  for (const std::string& column : table.columns) header += right(plain_line(column), column_width);
  writer.heading(title, header);
  for (const result::Figure& row : table.rows) {
    std::string line = "  " + padded(plain_line(row.name), name_width);
    for (const std::string& column : table.columns) {
      std::string cell;
      for (const result::Cell& value : row.values) {
        if (value.column == column)
          cell = intervals ? cell_text(row.unit, value) : figure_text(row.unit, value.value);
      }
      line += right(cell, column_width);
    }
    if (!row.unit.empty() && row.unit != "s") line += " " + plain_line(row.unit);
    writer.line(line);
  }
  write_notes(table.notes, writer);
}

void write_comparison(const result::ComparisonTable& table, TextWriter& writer) {
  constexpr size_t kName = 26, kColumn = 14, kDifference = 26;
  const std::string title = plain_line(table.title);
  const size_t name_width = std::max(kName, width_of(title));
  writer.heading(title, std::string(name_width + 2 - width_of(title), ' ') +
                            right(plain_line(table.baseline), kColumn) +
                            right(plain_line(table.value), kColumn) +
                            right("difference", kDifference));
  for (const result::Comparison& row : table.rows) {
    const Color color = row.change == result::Comparison::Change::kWorse     ? Color::kRed
                        : row.change == result::Comparison::Change::kUnknown ? Color::kYellow
                                                                             : Color::kGreen;
    writer.line("  " + padded(plain_line(row.name), name_width) +
                right(figure_text(row.unit, row.baseline), kColumn) +
                right(figure_text(row.unit, row.value), kColumn) +
                right(difference_text(row), kDifference) + "  " +
                writer.painted(result::to_string(row.change), color));
  }
  write_notes(table.notes, writer);
}

void write_samples(const Report& report, TextWriter& writer) {
  if (report.samples.empty()) return;
  writer.heading("Two of the completions");
  for (size_t i = 0; i < std::min(kSamplesMax, report.samples.size()); ++i) {
    const result::Sample& sample = report.samples[i];
    writer.line("  " + writer.cut(sample.title, 2));
    writer.line("    " + writer.painted(writer.cut("> " + sample.prompt, 4), Color::kGray));
    writer.line("    " + writer.cut(sample.completion, 4));
  }
}

/// What was judged and by what; the other reports have every digit.
void write_digests(const Report& report, TextWriter& writer) {
  constexpr size_t kDigitsMax = 12;
  std::vector<std::string> items;
  for (const auto& [name, digest] : report.provenance.digests) {
    items.push_back(name + " " + digest.substr(0, kDigitsMax));
  }
  if (items.empty()) return;
  writer.line("");
  writer.flow("sha256", items, Color::kGray);
}

/// Whole paths, but a file beside the one before it by its name alone.
std::string paths_text(const std::vector<std::string>& files) {
  std::string text;
  std::filesystem::path before;
  for (const std::string& file : files) {
    const std::filesystem::path path = file;
    const bool beside = !text.empty() && path.parent_path() == before.parent_path();
    text += (text.empty() ? "" : ", ") + (beside ? path.filename().string() : file);
    before = path;
  }
  return text;
}

}  // namespace

std::string to_text(const Report& report, const TextOptions& options) {
  TextWriter writer(options);
  std::string title = writer.painted(plain_line(report.title), Color::kBold);
  if (report.verdict != Verdict::kSkip) {  // a prediction alone is neither right nor wrong
    title += "  " + writer.painted(verdict_word(report.verdict), color_of(report.verdict));
  }
  writer.line(title);
  if (!report.summary.empty()) writer.line(plain_line(report.summary));
  write_checks(report, writer);
  write_findings(report, writer);
  write_coverage(report, writer);
  write_sightings(report, writer);
  write_budgets(report, writer);
  for (const result::FigureTable& table : report.tables) {
    if (!table.detail) write_table(table, writer);
  }
  for (const result::ComparisonTable& table : report.comparisons) {
    write_comparison(table, writer);
  }
  // Beside checks they are examples, for pages.
  if (report.checks.empty()) {
    for (const result::Waterfall& waterfall : report.waterfalls) write_waterfall(waterfall, writer);
  }
  write_samples(report, writer);
  if (!report.notes.empty()) writer.line("");
  for (const std::string& note : report.notes) writer.line("note: " + plain_line(note));
  write_digests(report, writer);
  if (!options.files.empty()) writer.line("\nreport: " + plain_line(paths_text(options.files)));
  return writer.take();
}

}  // namespace touchstone::reports
