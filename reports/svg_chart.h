// A chart as inline SVG with its legend, for the HTML report. Pure; thread-safe.
#pragma once

#include <string>

#include "result/result_model.h"

namespace touchstone::reports {

/// A <figure>: the drawing, a legend, and its data as JSON for the cursor. Lines are thinned to
/// what the width can show, keeping every peak.
std::string svg_chart(const result::Chart& chart);

}  // namespace touchstone::reports
