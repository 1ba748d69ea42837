// JUnit XML. There is no official schema; this is the subset that Jenkins, GitLab and GitHub
// actions read: testsuites/testsuite/testcase with failure, error, skipped, system-out.
#include <map>

#include "base/text.h"
#include "reports/escape.h"
#include "reports/reports.h"
#include "reports/summary.h"

namespace touchstone::reports {
namespace {

using result::CheckOutcome;
using result::Finding;
using result::Report;
using result::Verdict;

std::string attribute(const std::string& name, const std::string& value) {
  return " " + name + "=\"" + escape_markup(value) + "\"";
}

std::string findings_text(const CheckOutcome& check) {
  std::string text;
  for (const Finding& finding : check.findings) {
    text += finding.message + "\n";
    if (finding.count > 1) text += "  count: " + format_count(finding.count) + "\n";
    for (const auto& [key, value] : finding.context) text += "  " + key + ": " + value + "\n";
    for (const result::Place& place : finding.places) {
      text += "  at " + result::to_string(place) + "\n";
    }
    const std::string rule = result::to_string(finding.rule);
    if (!rule.empty()) text += "  rule: " + rule + "\n";
  }
  return text;
}

struct Counts {
  int64_t tests = 0;
  int64_t failures = 0;
  int64_t errors = 0;
  int64_t skipped = 0;
  std::string attributes() const {
    return attribute("tests", std::to_string(tests)) +
           attribute("failures", std::to_string(failures)) +
           attribute("errors", std::to_string(errors)) +
           attribute("skipped", std::to_string(skipped));
  }
  void add(const Counts& other) {
    tests += other.tests;
    failures += other.failures;
    errors += other.errors;
    skipped += other.skipped;
  }
};

struct Suite {
  Counts counts;
  std::string cases;
};

std::string element(const std::string& name, const std::string& message, const std::string& text) {
  return "      <" + name + attribute("message", message) + ">" + escape_markup(text) + "</" +
         name + ">\n";
}

void add_check(const CheckOutcome& check, const Report& report, Suite& suite) {
  ++suite.counts.tests;
  std::string body;
  if (result::fails_report(check, report)) {
    ++suite.counts.failures;
    const std::string first = check.findings.empty() ? check.reason : check.findings[0].message;
    body = element("failure", first, findings_text(check) + "source: " + check.source + "\n");
  } else if (check.verdict == Verdict::kFail) {
    body = "      <system-out>" +
           escape_markup("warning, level " + std::string(result::to_string(check.level)) + ":\n" +
                         findings_text(check)) +
           "</system-out>\n";
  } else if (check.verdict == Verdict::kUnknown) {
    ++suite.counts.errors;
    body = element("error", "unknown: " + check.reason, check.reason);
  } else if (check.verdict == Verdict::kSkip) {
    ++suite.counts.skipped;
    body = "      <skipped" + attribute("message", check.reason) + "/>\n";
  }
  suite.cases += "    <testcase" + attribute("classname", "touchstone." + check.group) +
                 attribute("name", check.id + ": " + check.title);
  suite.cases += body.empty() ? "/>\n" : ">\n" + body + "    </testcase>\n";
}

void add_budget(const result::BudgetRow& budget, Suite& suite) {
  ++suite.counts.tests;
  const std::string name = budget_name(budget);
  const std::string measured = budget_measured(budget);
  suite.cases +=
      "    <testcase" + attribute("classname", "touchstone.budgets") + attribute("name", name);
  if (budget.verdict == Verdict::kFail) {
    ++suite.counts.failures;
    suite.cases +=
        ">\n" + element("failure", name + ": measured " + measured, measured) + "    </testcase>\n";
  } else if (budget.verdict == Verdict::kUnknown) {
    ++suite.counts.errors;
    suite.cases +=
        ">\n" + element("error", name + ": undecided, " + measured, measured) + "    </testcase>\n";
  } else {
    suite.cases += "/>\n";
  }
}

}  // namespace

std::string to_junit(const Report& report) {
  std::vector<std::string> order;
  std::map<std::string, Suite> suites;
  const auto suite_of = [&](const std::string& group) -> Suite& {
    if (!suites.contains(group)) order.push_back(group);
    return suites[group];
  };
  for (const CheckOutcome& check : report.checks) {
    add_check(check, report, suite_of(check.group));
  }
  for (const result::BudgetRow& budget : report.budgets) add_budget(budget, suite_of("budgets"));
  Counts total;
  for (const auto& [group, suite] : suites) total.add(suite.counts);
  std::string out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites" +
                    attribute("name", report.title) + total.attributes() + ">\n";
  for (const std::string& group : order) {
    const Suite& suite = suites[group];
    out += "  <testsuite" + attribute("name", group) + suite.counts.attributes() + ">\n" +
           suite.cases + "  </testsuite>\n";
  }
  return out + "</testsuites>\n";
}

}  // namespace touchstone::reports
