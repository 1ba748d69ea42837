// `touchstone check` of several suites, or of every cell of one: what is run, and what it came to.
#pragma once

#include <string>
#include <vector>

#include "cli/server_access.h"
#include "cli/verb.h"
#include "harness/suites/matrix.h"

namespace touchstone::cli {

struct SuiteCell {
  std::string suite;  ///< file
  harness::Cell cell;
};

struct SeveralOptions {
  std::vector<SuiteCell> suites;
  std::string output;              ///< each has a folder in it
  std::vector<std::string> flags;  ///< for each of them
  AccessFlags access;
  size_t jobs = 1;  ///< at a time
};

/// A line for each as it ends, then how many passed.
Exit check_several(const SeveralOptions& options);

}  // namespace touchstone::cli
