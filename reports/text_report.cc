// The report for a terminal: one screen, the worst first.
#include <algorithm>
#include <cmath>
#include <map>

#include "base/clock.h"
#include "base/text.h"
#include "reports/escape.h"
#include "reports/reports.h"

namespace touchstone::reports {
namespace {

using result::CheckOutcome;
using result::Finding;
using result::Report;
using result::Verdict;

constexpr size_t kLabelWidth = 16;
// Two samples say enough on one screen; the HTML report has all.
constexpr size_t kSamplesMax = 2;

enum class Color { kGreen, kRed, kYellow, kGray, kBold };

class Writer {
 public:
  explicit Writer(const TextOptions& options) : options_(options) {}

  std::string painted(const std::string& text, Color color) const {
    if (!options_.color) return text;
    static constexpr const char* kCodes[] = {"32", "31", "33", "90", "1"};
    return std::string("\x1b[") + kCodes[static_cast<int>(color)] + "m" + text + "\x1b[0m";
  }
  void heading(const std::string& title) { text_ += "\n" + painted(title, Color::kBold) + "\n"; }
  /// `line` must be safe already; it is cut at the right edge unless it holds colours.
  void line(const std::string& line) { text_ += line + "\n"; }
  std::string cut(const std::string& text, size_t indent) const {
    const auto width = static_cast<size_t>(std::max(options_.width, 40));
    return shortened(plain_line(text), width - indent);
  }
  /// At most three lines, broken between words; the third is cut. At least one.
  std::vector<std::string> wrapped(const std::string& text, size_t indent) const {
    constexpr size_t kLinesMax = 3;
    const size_t width = static_cast<size_t>(std::max(options_.width, 40)) - indent;
    std::vector<std::string> lines = {""};
    for (const std::string& word : split(plain_line(text), ' ')) {
      const bool fits = width_of(lines.back()) + width_of(word) + 1 <= width;
      if (!fits && !lines.back().empty() && lines.size() < kLinesMax) lines.emplace_back();
      lines.back() += (lines.back().empty() ? "" : " ") + word;
    }
    for (std::string& line : lines) line = shortened(line, width);
    return lines;
  }
  const TextOptions& options() const { return options_; }
  std::string take() { return std::move(text_); }

 private:
  const TextOptions& options_;
  std::string text_;
};

std::string padded(const std::string& text, size_t width) {
  const size_t length = width_of(text);
  return length >= width ? text : text + std::string(width - length, ' ');
}
std::string right(const std::string& text, size_t width) {
  const size_t length = width_of(text);
  return length >= width ? text : std::string(width - length, ' ') + text;
}

std::string word_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::kPass:
      return "PASS";
    case Verdict::kFail:
      return "FAIL";
    case Verdict::kUnknown:
      return "UNKNOWN";
    case Verdict::kSkip:
      return "n/a";
  }
  return "UNKNOWN";
}

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

struct GroupCounts {
  int64_t passed = 0, failed = 0, warned = 0, unknown = 0, skipped = 0;
};

void write_checks(const Report& report, Writer& writer) {
  if (report.checks.empty()) return;
  std::vector<std::string> order;
  std::map<std::string, GroupCounts> groups;
  for (const CheckOutcome& check : report.checks) {
    if (!groups.contains(check.group)) order.push_back(check.group);
    GroupCounts& counts = groups[check.group];
    if (check.verdict == Verdict::kPass) ++counts.passed;
    if (check.verdict == Verdict::kUnknown) ++counts.unknown;
    if (check.verdict == Verdict::kSkip) ++counts.skipped;
    if (check.verdict == Verdict::kFail) {
      ++(result::fails_report(check, report) ? counts.failed : counts.warned);
    }
  }
  writer.heading("Checks");
  for (const std::string& group : order) {
    const GroupCounts& counts = groups[group];
    std::string line = "  " + padded(plain_line(group), kLabelWidth);
    const auto part = [&](int64_t count, const char* word, Color color) {
      if (count > 0) line += writer.painted(std::to_string(count) + " " + word + "  ", color);
    };
    part(counts.failed, "failed", Color::kRed);
    part(counts.warned, "warned", Color::kYellow);
    part(counts.unknown, "undecided", Color::kYellow);
    part(counts.passed, "passed", Color::kGreen);
    part(counts.skipped, "not applicable", Color::kGray);
    writer.line(line);
  }
}

std::string place_of(const Finding& finding) {
  const auto get = [&](const char* key) {
    const auto found = finding.context.find(key);
    return found == finding.context.end() ? std::string() : found->second;
  };
  std::string place;
  if (!get("span_id").empty()) {
    place = "trace " + get("trace_id") + " span " + get("span_id");
  } else if (!get("request").empty()) {
    place = "request " + get("request");
  } else if (!get("hop").empty()) {
    place = get("hop");
  } else {
    place = finding.subject;
  }
  if (finding.count > 1) place += " and " + format_count(finding.count - 1) + " more";
  return place;
}

void write_findings(const Report& report, Writer& writer) {
  std::vector<std::pair<const CheckOutcome*, const Finding*>> findings;
  for (const CheckOutcome& check : report.checks) {
    for (const Finding& finding : check.findings) findings.emplace_back(&check, &finding);
  }
  // Strongest level first, then the widest, then the order of the checks.
  std::stable_sort(findings.begin(), findings.end(), [](const auto& a, const auto& b) {
    if (a.second->level != b.second->level) return a.second->level < b.second->level;
    return a.second->count > b.second->count;
  });
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
    const std::vector<std::string> lines = writer.wrapped(check->id + ": " + finding->message, 9);
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

void write_coverage(const Report& report, Writer& writer) {
  if (report.coverage.empty()) return;
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
  writer.heading("Coverage of required attributes");
  constexpr int kBarWidth = 20;
  for (const std::string& name : order) {
    const Share& share = shares[name];
    const double ratio =
        share.total == 0 ? 0
                         : static_cast<double>(share.present) / static_cast<double>(share.total);
    const int filled = static_cast<int>(std::floor(ratio * kBarWidth));
    std::string bar;
    for (int i = 0; i < kBarWidth; ++i) bar += i < filled ? "█" : "░";
    const bool full = share.complete == share.required;
    writer.line("  " + padded(writer.cut(name, 60), kLabelWidth) + " " +
                writer.painted(bar, full ? Color::kGreen : Color::kRed) + " " +
                right(format_fixed(ratio * 100, 1), 5) + " %  " + std::to_string(share.complete) +
                " of " + std::to_string(share.required) + " attributes on every span");
  }
}

std::string seconds_text(double seconds) {
  if (!std::isfinite(seconds)) return "?";
  return format_duration(static_cast<int64_t>(std::llround(seconds * 1e9)));
}

void write_budgets(const Report& report, Writer& writer) {
  if (report.budgets.empty()) return;
  writer.heading("Latency budgets");
  for (const result::BudgetRow& row : report.budgets) {
    std::string line = "  " + padded(plain_line(row.phase), 10) + "p" +
                       padded(format_double(row.quantile * 100), 5) +
                       " <= " + padded(seconds_text(row.threshold_s), 10);
    line += writer.painted(padded(word_of(row.verdict), 8), color_of(row.verdict));
    if (row.measured_s) line += seconds_text(*row.measured_s);
    if (row.low_s && row.high_s) {
      line += " (" + format_fixed(row.confidence * 100, 0) + " %: " + seconds_text(*row.low_s) +
              " to " + seconds_text(*row.high_s) + ")";
    }
    line += ", " + format_count(row.samples) + " samples";
    writer.line(line);
  }
}

std::string figure_text(const std::string& unit, double value) {
  if (!std::isfinite(value)) return "-";
  if (unit == "s") return seconds_text(value);
  if (value == std::floor(value) && std::fabs(value) < 1e15) {
    return format_count(static_cast<int64_t>(value));
  }
  return format_fixed(value, 3);
}

void write_table(const result::FigureTable& table, Writer& writer) {
  writer.heading(plain_line(table.title));
  constexpr size_t kColumn = 14;
  size_t name_width = 26;
  for (const result::Figure& row : table.rows) {
    name_width = std::max(name_width, width_of(row.name) + 2);
  }
  std::string header = "  " + std::string(name_width, ' ');
  for (const std::string& column : table.columns) header += right(plain_line(column), kColumn);
  writer.line(header);
  for (const result::Figure& row : table.rows) {
    std::string line = "  " + padded(plain_line(row.name), name_width);
    for (const std::string& column : table.columns) {
      std::string cell;
      for (const auto& [name, value] : row.values) {
        if (name == column) cell = figure_text(row.unit, value);
      }
      line += right(cell, kColumn);
    }
    if (!row.unit.empty() && row.unit != "s") line += " " + plain_line(row.unit);
    writer.line(line);
  }
  for (const std::string& note : table.notes) writer.line("  " + writer.cut(note, 2));
}

void write_samples(const Report& report, Writer& writer) {
  if (report.samples.empty()) return;
  writer.heading("Two of the completions");
  for (size_t i = 0; i < std::min(kSamplesMax, report.samples.size()); ++i) {
    const result::Sample& sample = report.samples[i];
    writer.line("  " + writer.cut(sample.title, 2));
    writer.line("    " + writer.painted(writer.cut("> " + sample.prompt, 4), Color::kGray));
    writer.line("    " + writer.cut(sample.completion, 4));
  }
}

}  // namespace

std::string to_text(const Report& report, const TextOptions& options) {
  Writer writer(options);
  writer.line(writer.painted(plain_line(report.title), Color::kBold) + "  " +
              writer.painted(word_of(report.verdict), color_of(report.verdict)));
  writer.line(plain_line(report.summary));
  write_checks(report, writer);
  write_findings(report, writer);
  write_coverage(report, writer);
  write_budgets(report, writer);
  for (const result::FigureTable& table : report.tables) write_table(table, writer);
  write_samples(report, writer);
  if (!report.notes.empty()) writer.line("");
  for (const std::string& note : report.notes) writer.line("note: " + plain_line(note));
  if (!options.files.empty()) writer.line("");
  for (const std::string& file : options.files) writer.line("report: " + plain_line(file));
  return writer.take();
}

}  // namespace touchstone::reports
