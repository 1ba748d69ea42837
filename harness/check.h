// `check` without its flags: a suite becomes a run, a run becomes a report; or a run of former days
// is judged again. Thread-compatible.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "conformance/profile/profile.h"
#include "harness/assess.h"
#include "harness/collector/find.h"
#include "harness/faults/fault.h"
#include "harness/process/child.h"
#include "harness/suites/suite.h"
#include "http/access.h"
#include "records/run_folder.h"
#include "result/result_model.h"

namespace touchstone::harness {

struct CheckOptions {
  std::string suite;                  ///< file
  Cell cell;                          ///< of its matrix
  std::vector<std::string> profiles;  ///< names or files instead of the suite's; empty: those
  std::vector<std::string> faults;    ///< as text, beside the suite's
  std::optional<uint64_t> seed;       ///< instead of the loads' own
  std::string run_folder;
  http::Access access;    ///< to attached subjects
  bool embedded = false;  ///< the embedded receiver instead of a Collector
  CollectorSearch collector;
  std::string touchstone;  ///< path of this program
};

/// Everything that is settled before anything is started.
struct CheckPlan {
  Suite suite;
  std::vector<conformance::Profile> profiles;
  std::vector<std::string> owed;  ///< files that the run leaves (whole_run.h)
  std::string primary;            ///< name of the one that leads, as JudgeOptions::primary
  std::vector<Fault> faults;      ///< the suite's, then those of the options, at their moments
  /// That drew the moments of some of them, and draws them again; nullopt: none was drawn.
  std::optional<uint64_t> fault_seed;
  int64_t last_arrival_ns = 0;
  /// Request spans of the leading profile that the loads give at most, when every request comes to
  /// what its workload expects: no phase has more samples. nullopt: the profile accounts for none.
  std::optional<int64_t> samples_most;
};

/// ERRORS: kNotFound, kInvalidArgument.
Result<CheckPlan> plan_check(const CheckOptions& options);

/// Runs the plan into the folder, which is then finished, and locked as long as the result lives.
/// A cancelled run is discarded unless `keep`. ERRORS: those of run_suite() and find_collector().
enum class Cancelled { kDiscard, kKeep };
Result<std::unique_ptr<records::RunFolderWriter>> run_check(
    const CheckPlan& plan, const CheckOptions& options, Cancelled cancelled,
    const std::function<void(const std::string&)>& progress, const Supervision& supervision);

/// The demands that a run of former days is judged by: the suite's or profiles' when given, else
/// those it was run with. ERRORS: kNotFound, kInvalidArgument, kUnavailable when the suite in the
/// folder is not the one that its manifest names.
Result<CheckPlan> plan_of_run(const records::RunFolder& run, const CheckOptions& options);

/// How the run of the plan is judged.
conformance::JudgeOptions judge_options(const CheckPlan& plan, result::Level fail_on);

}  // namespace touchstone::harness
