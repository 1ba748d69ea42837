// The heat map of the HTML report: which attribute is on which type of span. Pure; thread-safe.
#pragma once

#include <string>

#include "result/result_model.h"

namespace touchstone::reports {

/// Attributes down, types across, the share in each field; empty with fewer than two types of span,
/// for which the table says it all.
std::string heat_map_html(const result::Report& report);

}  // namespace touchstone::reports
