// A run folder as evidence for the judge. Thread-compatible.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "conformance/judge.h"
#include "records/run_folder.h"

namespace touchstone::harness {

/// Reads what a run folder holds: spans (rotated parts too), ledger, metrics, Collector counters.
/// What is not there stays nullopt; lines that cannot be used become span_problems.
/// ERRORS: kInvalidArgument for a ledger that cannot be read, kIo.
Result<conformance::Evidence> evidence_of_run(const records::RunFolder& run, int64_t now_unix_ns);

}  // namespace touchstone::harness
