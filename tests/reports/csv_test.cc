#include <gtest/gtest.h>

#include "reports/reports.h"

namespace touchstone::reports {
namespace {

TEST(Csv, HasOneLineForEachFigureAndQuotesWhatNeedsIt) {
  result::Report report;
  result::FigureTable latency;
  latency.title = "Latency, \"all\"";
  latency.columns = {"mean", "p95"};
  latency.rows = {{"TTFT", "s", {{"mean", 0.5}, {"p95", 1.25}}}};
  report.tables = {latency};
  result::ComparisonTable against;
  against.title = "Against";
  against.baseline = "other";
  against.value = "this";
  against.rows.emplace_back();
  against.rows[0].name = "steps";
  against.rows[0].baseline = 3;
  against.rows[0].value = 4;
  report.comparisons = {against};
  result::BudgetRow budget;
  budget.phase = "ttft";
  budget.quantile = 0.95;
  budget.threshold_s = 2;
  budget.measured_s = 1.5;
  report.budgets = {budget};
  EXPECT_EQ(to_csv(report),
            "table,row,column,value,unit\n"
            "\"Latency, \"\"all\"\"\",TTFT,mean,0.5,s\n"
            "\"Latency, \"\"all\"\"\",TTFT,p95,1.25,s\n"
            "Against,steps,other,3,\n"
            "Against,steps,this,4,\n"
            "Latency budgets,ttft p95,limit,2,s\n"
            "Latency budgets,ttft p95,measured,1.5,s\n");
}

}  // namespace
}  // namespace touchstone::reports
