// The verb `simulate` without its flags: reads what is simulated, runs it, reports, writes the
// run's files. Thread-compatible.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "reference_engine/scheduler/types.h"
#include "result/result_model.h"
#include "simulator/closed_loop.h"
#include "workload/generate.h"

namespace touchstone::simulator {

/// Scheduler settings that were asked for; unset ones come from the run or are the defaults.
struct ConfigChanges {
  std::optional<int64_t> num_blocks;
  std::optional<int32_t> block_size;
  std::optional<int32_t> max_num_seqs;
  std::optional<int32_t> max_num_batched_tokens;
  std::optional<int32_t> max_model_len;
  std::optional<int32_t> long_prefill_token_threshold;
  std::optional<bool> enable_prefix_caching;
  std::optional<bool> enable_chunked_prefill;
  std::optional<scheduler::Policy> policy;

  void apply(scheduler::Config& config) const;
  bool any() const;
};

struct SimulateOptions {
  // What is simulated: one of these. Generated load with a run takes the run's settings and step
  // times: what would that server do under this load?
  std::string workload;                                ///< a file
  std::string run;                                     ///< folder of a measured run
  std::optional<workload::GenerateOptions> generated;  ///< its block size is the replicas'
  std::string generated_as;                            ///< for the report's title
  std::optional<ClosedLoopOptions> closed_loop;        ///< of workload or generated load

  ConfigChanges changes;  ///< of every replica
  int64_t replicas = 1;
  std::string router = "round-robin";
  std::string step_time;  ///< steptime/parse.h; empty: fitted to the run
  bool compare = false;   ///< measured beside simulated
  uint64_t seed = 0;
  std::string output;  ///< folder for the simulated run's files; empty: none
};

/// ERRORS: kInvalidArgument for options that do not fit together and for what cannot be simulated;
/// those of the files.
Result<result::Report> simulate(const SimulateOptions& options);

}  // namespace touchstone::simulator
