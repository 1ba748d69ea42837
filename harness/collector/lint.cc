#include "harness/collector/lint.h"

#include <algorithm>

#include "harness/collector/lint_rules.h"

namespace touchstone::harness {
namespace {

// Changes that touch each other are made one pass after the other; a rename and what hangs on it
// take two.
constexpr int kPassesMax = 8;

}  // namespace

const char* to_string(LintFinding::Level level) {
  switch (level) {
    case LintFinding::Level::kNote:
      return "note";
    case LintFinding::Level::kWarning:
      return "warning";
    case LintFinding::Level::kError:
      break;
  }
  return "error";
}

Result<LintResult> lint_collector_config(const std::string& name, const std::string& text) {
  LintResult result;
  result.fixed = text;
  for (int i = 0; i < kPassesMax; ++i) {
    auto yaml = YamlText::parse(name, result.fixed);
    if (!yaml) return std::move(yaml).error();
    LintPass pass(*yaml);
    for (const auto rule : lint_rules()) rule(pass);
    if (i == 0) result.findings = pass.take();
    if (!yaml->changed()) break;
    result.fixed = yaml->apply();
  }
  std::stable_sort(result.findings.begin(), result.findings.end(),
                   [](const LintFinding& a, const LintFinding& b) { return a.line < b.line; });
  return result;
}

}  // namespace touchstone::harness
