// How much memory this process may use: the machine's, or less where a control group says so (a
// container's limit). Source: Linux proc_meminfo(5), cgroups(7), kernel Documentation
// admin-guide/cgroup-v2.rst ("memory.max") and cgroup-v1/memory.rst. Thread-safe.
#pragma once

#include <cstdint>
#include <string>

namespace touchstone {

struct MemoryLimits {
  /// The smaller of the machine's memory and the limits of the control groups above this process;
  /// the largest number when nothing is known.
  int64_t total_bytes = 0;
  /// What can still be taken without swapping or being killed. Cached file pages count as free.
  int64_t available_bytes = 0;
};

/// Where the system says it. Tests write their own.
struct MemoryFiles {
  std::string meminfo = "/proc/meminfo";
  std::string cgroup = "/proc/self/cgroup";
  std::string cgroup_root = "/sys/fs/cgroup";
};

MemoryLimits read_memory_limits(const MemoryFiles& files = {});

}  // namespace touchstone
