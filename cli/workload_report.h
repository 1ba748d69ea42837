// The description of a workload as a report. Pure; thread-safe.
#pragma once

#include <string>

#include "result/result_model.h"
#include "workload/describe.h"

namespace touchstone::cli {

/// `name`: what is described, for the title.
result::Report describe_report(const std::string& name, const workload::Description& description);

}  // namespace touchstone::cli
