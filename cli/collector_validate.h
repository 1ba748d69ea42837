// `touchstone collector validate`: the real Collector's word, and what it does not say.
#pragma once

#include <string>

#include "cli/verb.h"
#include "harness/collector/lint.h"

namespace touchstone::cli {

struct ValidateFlags {
  std::string collector;  ///< --collector; empty: not given
  std::string config;
  bool fix = false;  ///< writes what can be mended into the file and shows the difference
  harness::LintFinding::Level fail_on = harness::LintFinding::Level::kError;
};

Exit validate_collector(const ValidateFlags& flags);

}  // namespace touchstone::cli
