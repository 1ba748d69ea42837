// One run of a suite: Collector up, subject up, load, drain, stop, collect. What comes out is a run
// folder; judging it is for others. Thread-compatible.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "harness/collector/find.h"
#include "harness/process/child.h"
#include "harness/suites/suite.h"
#include "records/run_folder.h"

namespace touchstone::harness {

struct RunOptions {
  std::string touchstone;                    ///< path of this program, for ${touchstone}
  std::optional<CollectorBinary> collector;  ///< nullopt: the embedded receiver stands in
  std::vector<Fault> faults;                 ///< besides the suite's own
  std::optional<uint64_t> seed;
  /// One line for each step and, while the load runs, each second.
  std::function<void(const std::string&)> progress;
};

/// Leaves no process and no port behind, whatever happens; files only in the run folder, whose
/// manifest then says what the reader must know: what was asked of which versions, faults, deaths,
/// notes. `folder` is not finished. ERRORS: kUnavailable when a part does not start, kCancelled,
/// kInvalidArgument, kIo.
Status run_suite(const Suite& suite, const RunOptions& options, records::RunFolderWriter& folder,
                 const Supervision& supervision);

}  // namespace touchstone::harness
