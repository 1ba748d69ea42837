// Whether a run left all that it owes its judge: its files, a drained Collector, parts that lived.
// What is not there can hide a failure, so it leaves the verdict open. Thread-compatible.
#pragma once

#include <string>
#include <vector>

#include "harness/suites/suite.h"
#include "records/run_folder.h"
#include "result/result_model.h"

namespace touchstone::harness {

/// The files, relative to its folder, that every run of `suite` leaves or says why it could not
/// (RunManifest::missing). Spans and logs are not among them: without spans nothing is decided
/// anyway, and what a program logs is its own matter.
std::vector<std::string> owed_by_suite(const Suite& suite);
/// The same of `touchstone load`.
std::vector<std::string> owed_by_load();

/// The check `input.whole`. Undecided, with all reasons, when a file of `owed` is neither there nor
/// excused, when the Collector still held spans, and when a part died that no fault killed.
result::CheckOutcome whole_run(const records::RunFolder& run, const records::RunManifest& manifest,
                               const std::vector<std::string>& owed);

}  // namespace touchstone::harness
