// What this machine can do at best, measured in the same process as the benchmarks that are
// compared with it. Thread-compatible.
#pragma once

#include "reference_engine/backend/cpu/thread_pool.h"

namespace touchstone::bench {

struct Ceilings {
  double read_bytes_per_second = 0;  ///< all threads, far more than the caches hold
  double flops_per_second = 0;       ///< f32 fused multiply-adds in registers, counted as two
};

/// As many threads as the machine has cores.
backend::cpu::ThreadPool& pool();

/// Of pool()'s threads: best of several tries; measured once.
const Ceilings& ceilings();

/// The body of main(): runs what was registered, then prints the ceilings. Gives the exit status.
int run_beside_ceilings(int argc, char** argv);

}  // namespace touchstone::bench
