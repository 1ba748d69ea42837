// Measures: every subject is put through every case in turns, repeat by repeat, so that what slows
// the machine slows all of them. Thread-compatible.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "harness/bench/bench_suite.h"
#include "harness/process/child.h"
#include "records/bench_run.h"

namespace touchstone::harness {

struct BenchOptions {
  std::string version;  ///< of this program, for the facts
  std::function<void(const std::string&)> progress = [](const std::string&) {};
};

/// One run a subject, in the suite's order. The first repeat of each case is thrown away.
/// ERRORS: kNotFound for a program, kUnavailable when one fails, when a server does not answer or a
/// request of a load fails; kTimeout, kCancelled.
Result<std::vector<records::BenchRun>> run_bench(const BenchSuite& suite,
                                                 const BenchOptions& options,
                                                 const Supervision& supervision);

/// Processor, cores, load average, kernel: what figures depend on.
std::map<std::string, std::string> machine_facts();

}  // namespace touchstone::harness
