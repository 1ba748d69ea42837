// From what was collected to a verdict. Reads no files, starts nothing, has no clock. Spans come
// batch by batch and are not kept: what is kept is in observed.h, and beyond so many spans in files
// without a name (base/spill_file.h). Order and batches of the input do not change the verdict, nor
// does it matter what was in memory and what in files. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "conformance/budgets.h"
#include "conformance/evidence.h"
#include "conformance/profile/profile.h"
#include "conformance/suppressions.h"
#include "result/result_model.h"
#include "telemetry/span.h"

namespace touchstone::conformance {

inline constexpr size_t kSpansInMemory = size_t{1} << 19;

struct JudgeOptions {
  std::vector<Budget> budgets = {};
  std::vector<Suppression> suppressions = {};
  result::Level fail_on = result::Level::kMust;
  /// The profile that stands for the run: its time and topology rules hold for all spans, budgets
  /// and charts are of its spans. Empty: the first.
  std::string primary = {};
  /// The part of the requests that must be answered as expected: with fewer, each that was not is a
  /// MUST finding, else a MAY.
  double answered_share = 1;
  /// Beyond so many spans, what must be remembered of each goes to files. About 100 bytes each, and
  /// as much again where a profile has rules about parents and children.
  size_t spans_in_memory = kSpansInMemory;
  /// Also tell when each required attribute was seen, where it is missing, and of which tenant,
  /// model and operation; and fail on one that was never seen.
  bool sightings = false;
};

/// At most so many profiles judge one run.
inline constexpr size_t kProfilesMax = 16;

class Judge final {
 public:
  /// All but `evidence.spans` must be there, but for what the reader of spans adds while it reads:
  /// its problems. `evidence` and `profiles` must outlive the judge.
  /// REQUIRES: 1 to kProfilesMax profiles.
  Judge(const Evidence& evidence, const std::vector<Profile>& profiles, JudgeOptions options);
  ~Judge();

  /// ERRORS: kIo of the files; nothing more can be judged then.
  Status add(const telemetry::TraceBatch& batch);
  int64_t spans() const;  ///< added so far
  /// Fills checks, coverage, budgets, verdict. No span at all gives verdict unknown (exit 3), never
  /// pass. Call once, after the last batch. ERRORS: kIo of the files.
  Result<result::Report> finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// "64 spans: 47 checks passed, …": Report::summary. Again after checks were added to a report.
std::string summary_of(const result::Report& report, int64_t spans);

/// All of `evidence.spans` through a Judge that keeps everything in memory.
result::Report judge(const Evidence& evidence, const std::vector<Profile>& profiles,
                     const JudgeOptions& options);

}  // namespace touchstone::conformance
