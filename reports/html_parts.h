// Sections of the HTML report. Each gives markup in which all outside text is escaped; empty when
// the report has nothing for it. Pure; thread-safe.
#pragma once

#include <cstdint>
#include <string>

#include "result/result_model.h"

namespace touchstone::reports {

struct HtmlPart {
  std::string body;
  int64_t count = 0;
};

HtmlPart findings_html(const result::Report& report);
std::string checks_html(const result::Report& report);
std::string coverage_html(const result::Report& report);
std::string budgets_html(const result::Report& report);
std::string tables_html(const result::Report& report);
std::string waterfall_html(const result::Waterfall& waterfall);

}  // namespace touchstone::reports
