// When required attributes were seen, as text and as a section of a page. Pure.
#pragma once

#include <string>

#include "reports/text_writer.h"
#include "result/result_model.h"

namespace touchstone::reports {

/// Nothing without sightings. Groups on which all is there share a line.
void write_sightings(const result::Report& report, TextWriter& writer);
std::string sightings_html(const result::Report& report);
/// "2026-11-25 13:55:15 to 13:55:17", or to the minute over several days; empty when not seen.
std::string seen_text(const result::Sighting& row);

}  // namespace touchstone::reports
