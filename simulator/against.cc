#include "simulator/against.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

namespace touchstone::simulator {
namespace {

using Better = result::Comparison::Better;

// A difference that does not matter.
constexpr double kTolerance = 0.01;

Better better_of(const std::string& table, const std::string& row) {
  constexpr std::array<std::string_view, 5> kLower = {"makespan", "preemptions", "peak waiting",
                                                      "requests refused", "interrupted by crashes"};
  if (table == "Latency" || table == "Cost") return Better::kLower;
  if (std::count(kLower.begin(), kLower.end(), row) > 0) return Better::kLower;
  if (row == "output rate" || row == "prefix-cache hits") return Better::kHigher;
  return Better::kEqual;
}

const result::FigureTable* table_of(const result::Report& report, const std::string& title) {
  const auto found = std::find_if(report.tables.begin(), report.tables.end(),
                                  [&](const auto& table) { return table.title == title; });
  return found == report.tables.end() ? nullptr : &*found;
}

const double* value_of(const result::FigureTable& table, const std::string& row,
                       const std::string& column) {
  for (const result::Figure& figure : table.rows) {
    if (figure.name != row) continue;
    for (const result::Cell& cell : figure.values) {
      if (cell.column == column) return &cell.value;
    }
  }
  return nullptr;
}

}  // namespace

void add_against(const result::Report& other, result::Report& report) {
  result::ComparisonTable comparison{
      .title = "Against the other", .baseline = "other", .value = "this"};
  for (const char* title : {"Simulation", "Latency", "Cost"}) {
    const result::FigureTable* baseline = table_of(other, title);
    const result::FigureTable* present = table_of(report, title);
    if (baseline == nullptr || present == nullptr) continue;
    for (const result::Figure& row : present->rows) {
      for (const result::Cell& cell : row.values) {
        const double* was = value_of(*baseline, row.name, cell.column);
        if (was == nullptr || (*was == 0 && cell.value == 0)) continue;
        comparison.rows.push_back(
            result::compare({.name = row.name + (cell.column == "value" ? "" : " " + cell.column),
                             .unit = row.unit,
                             .better = better_of(title, row.name),
                             .baseline = *was,
                             .value = cell.value},
                            kTolerance));
      }
    }
  }
  comparison.notes.push_back("other: " + other.title);
  report.comparisons.push_back(std::move(comparison));
}

}  // namespace touchstone::simulator
