// Known deviations: taken out of the findings, with a finding of their own when one is no longer
// needed or has expired. Pure; one thread.
#pragma once

#include <vector>

#include "conformance/judge.h"

namespace touchstone::conformance {

/// Removes suppressed findings from `checks`, decides those checks anew, notes each use in `notes`,
/// and returns the outcome of the check `suppression.needed`.
result::CheckOutcome apply_suppressions(const std::vector<Suppression>& suppressions,
                                        int64_t now_unix_ns,
                                        std::vector<result::CheckOutcome>& checks,
                                        std::vector<std::string>& notes);

}  // namespace touchstone::conformance
