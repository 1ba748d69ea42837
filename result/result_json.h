// The result model as JSON (report.json) and back; schema result/report.schema.json, version
// kSchemaVersion. Pure; thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "result/result_model.h"

namespace touchstone::result {

/// Indented, keys sorted, numbers shortest: equal reports give equal bytes. A number that is no
/// JSON number (NaN, infinity) is written as null.
std::string to_json(const Report& report);

/// ERRORS: kInvalidArgument or kMalformed with the field; another schema version is an error.
Result<Report> report_from_json(const std::string& name, std::string_view text);

}  // namespace touchstone::result
