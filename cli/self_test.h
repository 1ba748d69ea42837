// `touchstone check --self-test`: the checks judged by damaged telemetry.
#pragma once

#include <string>
#include <vector>

#include "cli/verb.h"

namespace touchstone::cli {

/// `format`: text or json. Exit 1 when a decidable defect was not found or a legal variant was
/// accused.
Exit self_test(const std::vector<std::string>& profiles, const std::string& format);

}  // namespace touchstone::cli
