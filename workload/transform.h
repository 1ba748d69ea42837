// Workloads made of workloads, one request at a time. Each reader owns what it reads from.
// Thread-compatible.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "workload/request_reader.h"

namespace touchstone::workload {

struct ScaleOptions {
  double rate = 1;           ///< times are divided by it, think times are kept
  double prompt_tokens = 1;  ///< lengths are multiplied, at least 1 token; shared blocks that no
                             ///< longer fit are dropped
  double output_tokens = 1;
};
/// ERRORS: kInvalidArgument for factors that are not within 1e-6 to 1e6.
Result<std::unique_ptr<RequestReader>> make_scaled(std::unique_ptr<RequestReader> from,
                                                   const ScaleOptions& options);

/// Keeps a share of the sessions (requests without one: of the requests), whole ones, chosen by the
/// seed. ERRORS: kInvalidArgument for a share that is not within 0 to 1, 0 excluded.
Result<std::unique_ptr<RequestReader>> make_thinned(std::unique_ptr<RequestReader> from,
                                                    double share, uint64_t seed);

struct WindowOptions {
  int64_t from_ns = 0;
  int64_t length_ns = INT64_MAX;
  int64_t at_ns = 0;  ///< when the window begins in the result
};
/// The requests that arrive in [from, from + length), moved so that the window begins at `at`.
/// ERRORS: kInvalidArgument for negative times.
Result<std::unique_ptr<RequestReader>> make_window(std::unique_ptr<RequestReader> from,
                                                   const WindowOptions& options);

struct SpliceOptions {
  bool one_after_another = false;  ///< else together, by arrival
  int64_t gap_ns = 0;              ///< one after another: from the last arrival to the next input
};
/// Several workloads as one. Names, sessions and shared blocks are those of their input: "1/r0007".
/// ERRORS: kInvalidArgument for a negative gap. REQUIRES: inputs is not empty.
Result<std::unique_ptr<RequestReader>> make_spliced(
    std::vector<std::unique_ptr<RequestReader>> inputs, const SpliceOptions& options);

}  // namespace touchstone::workload
