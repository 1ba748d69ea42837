// Renders the result model: text for a terminal, JSON, JUnit XML, HTML. Computes nothing but
// layout. Everything that came from outside is escaped. Pure but for write_*(); thread-safe.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "result/result_model.h"

namespace touchstone::reports {

enum class Format { kText, kJson, kJunit, kHtml };
/// "text", "json", "junit", "html", in this order.
const std::vector<std::string>& format_words();
/// REQUIRES: word is one of format_words().
Format format_of(const std::string& word);

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

std::string render(const result::Report& report, Format format, const TextOptions& options);

/// Writes report.html, report.json and junit.xml into `directory`, made if needed; gives their
/// paths, HTML first. ERRORS: kIo, the path and the reason (disk full, not writable).
Result<std::vector<std::string>> write_reports(const result::Report& report,
                                               const std::string& directory);

}  // namespace touchstone::reports
