// Independent jobs on all cores. Each job writes to a place of its own, so that the results do not
// depend on the number of cores. Thread-safe.
#pragma once

#include <cstddef>
#include <functional>

namespace touchstone {

/// Calls job(0) to job(count - 1), each once, on up to `threads` threads, the caller's among them;
/// returns when all are done. `threads` 0: as many as the machine has cores.
void run_parallel(size_t count, size_t threads, const std::function<void(size_t)>& job);

}  // namespace touchstone
