// A sweep beyond one machine: its points shared among the tasks of an array job of Slurm, or of an
// Indexed Job of Kubernetes. Each task is this program with `--share I/N`; what comes back is a
// folder that a sweep on this machine goes on with. Thread-compatible.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "harness/process/child.h"
#include "harness/sweep/sweep.h"

namespace touchstone::harness {

struct ClusterJobOptions {
  std::string grid_path;
  std::string output;                       ///< seen by all tasks under this path
  std::string program;                      ///< `touchstone`, seen by all tasks
  int64_t tasks = 0;                        ///< 0: one a point, at most 1,000
  std::vector<std::string> arguments = {};  ///< of sbatch, beside ours
  std::string image = {};                   ///< of Kubernetes: holds the program
  std::string claim = {};                   ///< of Kubernetes: volume that is mounted as the output
};

/// The batch script of the array job: its arguments are the command, to which it adds the share.
std::string slurm_script(int64_t tasks);
/// Submits the array job with sbatch, waits for its end and gathers. A job that failed is told by
/// the points that are missing. ERRORS: kNotFound without sbatch; kUnavailable for a job that Slurm
/// refused; those of run_sweep().
Result<SweepOutcome> run_on_slurm(const ClusterJobOptions& options, const Supervision& supervision);

/// The manifest of the Indexed Job, YAML. Validated against the API's schema in the tests.
std::string kubernetes_manifest(const ClusterJobOptions& options, int64_t tasks);
/// Writes OUTPUT/job.yaml. Result: its path. ERRORS: those of read_grid(); kInvalidArgument without
/// image or claim; kIo.
Result<std::string> write_kubernetes_job(const ClusterJobOptions& options);

}  // namespace touchstone::harness
