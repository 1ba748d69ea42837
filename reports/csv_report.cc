// The figures alone, one a line, for spreadsheets and scripts: table, row, column, value, unit.
// RFC 4180; numbers shortest, so that equal reports give equal bytes.
#include "base/text.h"
#include "reports/reports.h"

namespace touchstone::reports {
namespace {

std::string field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

std::string line(const std::string& table, const std::string& row, const std::string& column,
                 double value, const std::string& unit) {
  return field(table) + "," + field(row) + "," + field(column) + "," + format_double(value) + "," +
         field(unit) + "\n";
}

}  // namespace

std::string to_csv(const result::Report& report) {
  std::string text = "table,row,column,value,unit\n";
  for (const result::FigureTable& table : report.tables) {
    for (const result::Figure& row : table.rows) {
      for (const result::Cell& cell : row.values) {
        text += line(table.title, row.name, cell.column, cell.value, row.unit);
      }
    }
  }
  for (const result::ComparisonTable& table : report.comparisons) {
    for (const result::Comparison& row : table.rows) {
      text += line(table.title, row.name, table.baseline, row.baseline, row.unit);
      text += line(table.title, row.name, table.value, row.value, row.unit);
    }
  }
  for (const result::BudgetRow& row : report.budgets) {
    const std::string name = row.phase + " p" + format_double(row.quantile * 100);
    text += line("Latency budgets", name, "limit", row.threshold_s, "s");
    if (row.measured_s) text += line("Latency budgets", name, "measured", *row.measured_s, "s");
  }
  return text;
}

}  // namespace touchstone::reports
