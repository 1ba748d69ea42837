// The verb `simulate` without its flags: reads what is simulated, runs it, reports, writes the
// run's files. Thread-compatible.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/result.h"
#include "reference_engine/scheduler/config.h"
#include "result/result_model.h"
#include "simulator/closed_loop.h"
#include "workload/generate.h"

namespace touchstone::simulator {

struct SimulateOptions {
  // What is simulated: one of these. Generated load with a run takes the run's settings and step
  // times: what would that server do under this load?
  std::string workload;                                ///< a workload or a trace
  std::string workload_format;                         ///< empty: told by its content
  std::string run;                                     ///< folder of a measured run
  std::optional<workload::GenerateOptions> generated;  ///< its block size is the replicas'
  std::string generated_as;                            ///< for the report's title
  std::optional<ClosedLoopOptions> closed_loop;        ///< of workload or generated load
  /// After which clients give up whose request names no timeout; nullopt: never.
  std::optional<int64_t> timeout_ns;

  /// Scheduler settings that were asked for, of every replica; the rest come from the run or are
  /// the defaults.
  scheduler::FieldValues changes;
  int64_t replicas = 1;
  std::string router = "round-robin";
  std::string cluster;    ///< cluster_file.h, instead of replicas, router and step times
  std::string step_time;  ///< steptime/parse.h; empty: fitted to the run
  bool compare = false;   ///< measured beside simulated
  uint64_t seed = 0;
  std::string output;              ///< folder for the simulated run's files; empty: none
  int64_t scrape_interval_ns = 0;  ///< of the time series, into `output` and charts; 0: none
  std::string against;             ///< report of another simulation, as JSON; empty: none
  bool charts = false;  ///< also without scrape_interval_ns: at an interval that suits the length
  /// Told now and then how many requests are over, while it runs.
  std::function<void(int64_t done)> progress;
};

/// ERRORS: kInvalidArgument for options that do not fit together and for what cannot be simulated;
/// those of the files.
Result<result::Report> simulate(const SimulateOptions& options);

}  // namespace touchstone::simulator
