// A run folder as evidence for the judge. Thread-compatible.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/result.h"
#include "conformance/judge.h"
#include "records/run_folder.h"

namespace touchstone::harness {

/// What a run folder holds beside its spans: ledger, metrics, Collector counters. What is not there
/// stays nullopt. The spans (RunFolder::span_files()) are for conformance::read_spans(), so that
/// they never are in memory all at once. ERRORS: kInvalidArgument for a broken ledger, kIo.
Result<conformance::Evidence> evidence_of_run(const records::RunFolder& run, int64_t now_unix_ns);

/// As conformance::read_spans(), of a run that is over: nobody writes the rest of a torn last line,
/// so it is a problem.
Status read_run_spans(const records::RunFolder& run, conformance::Evidence& evidence,
                      const std::function<Status(const telemetry::TraceBatch&)>& visit);

/// A profile that run.json names: a file beside the run where there is one, else as it stands.
std::string profile_of_run(const records::RunFolder& run, const std::string& name);

}  // namespace touchstone::harness
