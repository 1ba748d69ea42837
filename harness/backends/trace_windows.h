// Reading all traces of a window from an API that gives at most so many: a window that gives as
// many is halved until none does. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/result.h"
#include "harness/backends/backend.h"

namespace touchstone::harness {

/// Asks `read` for windows that together are `window`; it says how many traces it found, or that
/// there were `limit`. `least_ns`: the API's unit of time. Windows of that length that are still
/// full go to `problems`. ERRORS: those of `read`.
Status for_each_window(const TimeWindow& window, int64_t limit, int64_t least_ns,
                       const std::function<Result<int64_t>(const TimeWindow&)>& read,
                       std::vector<std::string>& problems);

}  // namespace touchstone::harness
