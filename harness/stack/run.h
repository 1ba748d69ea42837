// One run of a suite: its plan, step by step, into a run folder. Judging it is for others.
// Thread-compatible.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "harness/collector/find.h"
#include "harness/faults/fault.h"
#include "harness/process/child.h"
#include "harness/suites/suite.h"
#include "http/access.h"
#include "records/run_folder.h"

namespace touchstone::harness {

struct RunOptions {
  std::string touchstone;                    ///< path of this program, for ${touchstone}
  std::optional<CollectorBinary> collector;  ///< nullopt: the embedded receiver stands in
  std::vector<Fault> faults;                 ///< of the suite and of the command line
  std::optional<uint64_t> seed;              ///< nullopt: each load's own
  http::Access access;                       ///< to attached subjects
  /// One line for each step and, while the load runs, each second.
  std::function<void(const std::string&)> progress;
};

/// Whatever can be known to be missing, before anything is started. ERRORS: kNotFound.
Status check_programs(const Suite& suite);

/// Leaves no process and no port behind, whatever happens; files only in the run folder, whose
/// manifest then says what the reader must know: faults, deaths, notes, what was asked of which
/// versions. `folder` is not finished. ERRORS: kUnavailable when a part does not start, kNotFound
/// for a program that is not there, kCancelled, kInvalidArgument, kIo.
Status run_suite(const Suite& suite, const RunOptions& options, records::RunFolderWriter& folder,
                 const Supervision& supervision);

}  // namespace touchstone::harness
