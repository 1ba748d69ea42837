// Renders the result model: text for a terminal, JSON, JUnit XML, SARIF, Markdown, HTML. Computes
// nothing but layout. Everything that came from outside is escaped. Pure but for write_*();
// thread-safe.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "result/result_model.h"

namespace touchstone::reports {

struct TextOptions {
  bool color = false;              ///< ANSI colours; for terminals
  int width = 100;                 ///< columns
  int findings_max = 6;            ///< findings shown; the rest are counted
  std::vector<std::string> files;  ///< where the full reports lie, for the last lines
};

/// About one screen: verdict, checks by group, the worst findings and where, coverage by
/// namespace, budgets, tables, two samples, paths.
std::string to_text(const result::Report& report, const TextOptions& options);

/// JUnit XML as CI systems read it: one testsuite a group, one testcase a check. A check that
/// failed below the report's fail_on is a testcase with the findings in system-out; unknown is an
/// error, not applicable is skipped.
std::string to_junit(const result::Report& report);

/// One self-contained file: no network, light and dark.
std::string to_html(const result::Report& report);

/// SARIF 2.1.0 for code scanning: a rule a check, a result a finding of a failed check, at the line
/// of the profile or suite that demands it, else at the line of the input. Level error where the
/// finding fails the report, warning (SHOULD) or note (MAY) elsewhere. Undecided checks are
/// notifications of the invocation.
std::string to_sarif(const result::Report& report);

/// GitHub-flavoured Markdown for step summaries and pull requests: verdict, checks by group,
/// findings, coverage gaps, budgets, tables; at most 64 KiB, the rest counted.
std::string to_markdown(const result::Report& report);

/// The figures of tables, comparisons and budgets, one a line: table,row,column,value,unit.
std::string to_csv(const result::Report& report);

/// A way to render a report.
struct Format {
  std::string word;  ///< as flags name it
  std::string file;  ///< in a folder of reports; empty: in none
  std::string (*render)(const result::Report& report, const TextOptions& options);
};
const std::vector<Format>& formats();
std::vector<std::string> format_words();
/// REQUIRES: word is one of format_words().
const Format& format_of(const std::string& word);

/// Writes every format's file into `directory`, made if needed; gives their paths, HTML first.
/// ERRORS: kIo, the path and the reason (disk full, not writable).
Result<std::vector<std::string>> write_reports(const result::Report& report,
                                               const std::string& directory);

}  // namespace touchstone::reports
