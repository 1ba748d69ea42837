// A verb of the command line: one file each, one row in verbs.cc.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"

namespace touchstone::cli {

/// Exit codes of every verb.
enum class Exit : int {
  kGood = 0,
  kFindings = 1,  ///< findings at or above --fail-on
  kUsage = 2,     ///< what a person wrote is wrong
  kUndecided = 3  ///< nothing received, a part did not start
};

/// Adds the verb's flags to `app` (its subcommand) and returns what runs it once they are parsed.
using Setup = std::function<std::function<Exit()>(CLI::App& app)>;

struct Verb {
  std::string name;
  std::string summary;  ///< one line for `touchstone --help`
  std::string example;  ///< one command line, printed at the end of `touchstone NAME --help`
  Setup setup;
  /// Changes the words after the verb before they are parsed; empty: they are taken as they are.
  std::function<Result<std::vector<std::string>>(const std::vector<std::string>& words,
                                                 const CLI::App& app)>
      rewrite = nullptr;
};

/// Prints `touchstone: message` and `hint: …` on stderr and gives the exit code of the error:
/// kInvalidArgument and kNotFound are usage (2), everything else is undecided (3).
Exit report_error(const Error& error);

/// Every verb of this program, in the order of the help.
std::vector<Verb> all_verbs();

}  // namespace touchstone::cli
