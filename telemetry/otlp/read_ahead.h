// Reads files of spans on a thread of its own while the caller looks at what was read before.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "telemetry/otlp/file.h"

namespace touchstone::telemetry {

/// Visits the batches of all files in order, on the caller's thread; stops at the visitor's first
/// error. One summary a file. What was read and not visited yet is bounded: a thousand spans or so,
/// or one line that has more.
/// ERRORS: as read_otlp_file().
Result<std::vector<OtlpFileSummary>> read_otlp_files_ahead(
    const std::vector<std::string>& paths,
    const std::function<Status(const TraceBatch& batch)>& visit,
    const OtlpFileOptions& options = {});

}  // namespace touchstone::telemetry
