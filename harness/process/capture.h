// Runs a program to its end and keeps what it printed. Thread-compatible.
#pragma once

#include <string>

#include "base/result.h"
#include "harness/process/child.h"

namespace touchstone::harness {

struct Captured {
  ExitStatus status;
  std::string output;  ///< stdout
  std::string errors;  ///< stderr
};

/// `options.log_path` and `stdout_path` are replaced. A status other than 0 is not an error.
/// ERRORS: those of spawn; kTimeout (the program is then killed), kCancelled.
Result<Captured> run_and_capture(SpawnOptions options, const Supervision& supervision,
                                 int64_t timeout_ns);

}  // namespace touchstone::harness
