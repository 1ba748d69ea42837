// A waterfall as lines of a terminal. Pure.
#pragma once

#include "reports/text_writer.h"
#include "result/result_model.h"

namespace touchstone::reports {

/// A line a bar: label, start and length, drawn on one axis; its attributes below it.
void write_waterfall(const result::Waterfall& waterfall, TextWriter& writer);

}  // namespace touchstone::reports
