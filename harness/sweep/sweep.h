// Runs the points of a grid, each as a program of its own, as many at a time as there are cores. A
// folder keeps what is done, so that a sweep goes on where it was stopped; the bytes of a point are
// those of its command run alone. Thread-compatible.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "harness/sweep/grid.h"

namespace touchstone::harness {

/// Point I, I + N, I + 2 N, … of a sweep that several programs share.
struct Share {
  int64_t index = 0;
  int64_t count = 1;
};
/// "3/8". ERRORS: kInvalidArgument.
Result<Share> parse_share(const std::string& text);

struct SweepOptions {
  std::string grid_path;
  std::string output;   ///< folder: points/N.json, points/N.error, sweep.csv, sweep.md
  std::string program;  ///< `touchstone`
  size_t threads = 0;   ///< points at a time; 0: as many as the machine has cores
  /// Only these points; no tables, as the others may be under way.
  std::optional<Share> share = {};
  /// Called when a point is done, from any thread, one at a time: done, of how many.
  std::function<void(int64_t done, int64_t points)> progress;
};

struct SweepOutcome {
  int64_t points = 0;
  int64_t ran = 0;     ///< the others were there already
  int64_t failed = 0;  ///< ended with an error, kept in points/N.error
  std::string csv_path;
  std::string markdown_path;
};

/// ERRORS: those of read_grid(); kInvalidArgument when the folder holds another grid's points; kIo.
Result<SweepOutcome> run_sweep(const SweepOptions& options, const Clock& clock);

/// The tables over the points that are there; the others count as failed. ERRORS: as run_sweep().
Result<SweepOutcome> gather_sweep(const SweepOptions& options);

/// One point alone: what it prints. ERRORS: kInvalidArgument for a point that is none, or what the
/// program says.
Result<std::string> run_point(const Grid& grid, int64_t index, const std::string& program,
                              const Clock& clock);

}  // namespace touchstone::harness
