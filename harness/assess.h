// From a run folder to a report: the one place where a run's evidence is put together and judged,
// right after it was run or at any later time. Thread-compatible.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "conformance/judge.h"
#include "records/run_folder.h"
#include "result/result_model.h"

namespace touchstone::harness {

struct AssessOptions {
  std::vector<conformance::Profile> profiles;
  conformance::JudgeOptions judge;
  std::vector<std::string> owed;  ///< files that the run must have left (whole_run.h)
  /// Puts a simulation of the same run beside it; called for a folder that has a step log. An error
  /// becomes an undecided check, never a pass.
  std::function<Status(const std::string& folder, result::Report& report)> simulate;
  int64_t now_unix_ns = 0;  ///< for expiry dates only
  /// Of what was looked at beside the folder, as backends.
  std::vector<result::CheckOutcome> more = {};
};

/// Equal folders and options give equal reports. A folder whose files are no longer those that the
/// run wrote fails; one that lacks what the run owes leaves the verdict open. ERRORS: those of
/// evidence_of_run(), kIo.
Result<result::Report> assess(const records::RunFolder& run, const AssessOptions& options);

}  // namespace touchstone::harness
