// What the Collector's own `validate` lets pass or refuses without saying what to write instead:
// names and keys of former versions, and settings with which spans are lost in silence. Source:
// the Collector's change logs up to v0.159.0 (core and contrib); each rule names its version.
// Pure; thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace touchstone::harness {

struct LintFinding {
  /// Error: the Collector refuses it, or data are lost. Warning: it works until it is removed, or
  /// does not what it seems to. Note: worth knowing.
  enum class Level { kNote, kWarning, kError } level = Level::kWarning;
  std::string rule;     ///< "exporter.renamed"
  int64_t line = 0;     ///< 1-based
  std::string message;  ///< what is there, and what to write
  bool fixable = false;
};
const char* to_string(LintFinding::Level level);

struct LintResult {
  std::vector<LintFinding> findings;  ///< by line
  std::string fixed;  ///< the text with everything fixable changed, the rest as it was
};

/// ERRORS: kInvalidArgument for what is no YAML mapping.
Result<LintResult> lint_collector_config(const std::string& name, const std::string& text);

}  // namespace touchstone::harness
