// Markdown for step summaries: what failed stands in it, and nothing from outside is markup.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "base/text.h"
#include "reports/escape.h"
#include "reports/reports.h"
#include "tests/result/full_report.h"

namespace touchstone::reports {
namespace {

using result::full_report;
using result::Report;
using ::testing::HasSubstr;
using ::testing::Not;

/// Cells of a line of a table: borders that are not escaped, less one.
size_t cells_of(const std::string& line) {
  size_t borders = 0;
  bool escaped = false;
  for (const char c : line) {
    borders += c == '|' && !escaped;
    escaped = c == '\\' && !escaped;
  }
  return borders - 1;
}

TEST(Markdown, SaysWhatFailedAndWhere) {
  const std::string text = to_markdown(full_report());
  EXPECT_THAT(text, HasSubstr("## ❌ check quickstart: FAIL"));
  EXPECT_THAT(text, HasSubstr("| MUST | span.attribute.required | is missing "));
  EXPECT_THAT(text, HasSubstr("| 3 of 64 |"));
  EXPECT_THAT(text, Not(HasSubstr("64 of 64"))) << "what is complete is not listed";
  EXPECT_THAT(text, HasSubstr("| ❌ | e2e p50 | 1 s | 3.5 s (90 %: 3 s to 4 s) | 62 |"));
  EXPECT_THAT(text, HasSubstr("| steps | 812 | 812 |  |  |"));
  EXPECT_THAT(text, Not(HasSubstr("Where every span belongs"))) << "detail is for the full reports";
}

TEST(Markdown, AReportWithoutAnythingIsOneHeading) {
  EXPECT_EQ(to_markdown(Report()), "## ❔ : UNKNOWN\n");
}

TEST(Markdown, ManyFindingsAreCounted) {
  Report report = full_report();
  report.checks[1].findings.resize(100, report.checks[1].findings[0]);
  const std::string text = to_markdown(report);
  EXPECT_THAT(text, HasSubstr("… and 72 more, in the full report"));
  EXPECT_LT(text.size(), 64u * 1024);
}

TEST(Markdown, EscapedTextHasNoMarkup) {
  EXPECT_EQ(escape_markdown("a|b `c` *d* <b> [x](y)\n#1"),
            "a\\|b \\`c\\` \\*d\\* &lt;b&gt; \\[x\\](y) \\#1");
}

RC_GTEST_PROP(Markdown, EveryTableKeepsItsColumnsWhateverTheTelemetryHolds,
              (const std::string& text)) {
  Report report = full_report();
  report.title = report.checks[1].group = report.checks[1].findings[0].message = text + "|\\|\n|";
  report.tables[0].title = report.tables[0].rows[1].name = report.notes[0] = text + "\\";
  size_t columns = 0;
  for (const std::string& line : split(to_markdown(report), '\n')) {
    RC_ASSERT(line.find('<') == std::string::npos);
    if (!line.starts_with("| ")) {
      columns = 0;
      continue;
    }
    if (columns == 0) columns = cells_of(line);
    RC_ASSERT(cells_of(line) == columns);
  }
}

}  // namespace
}  // namespace touchstone::reports
