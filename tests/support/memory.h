// How much memory this program holds, for tests that what should not grow does not.
#pragma once

#include <unistd.h>

#include <cstdint>
#include <fstream>

namespace touchstone::support {

/// Resident bytes now.
inline int64_t resident_bytes() {
  int64_t size = 0;
  int64_t resident = 0;
  std::ifstream("/proc/self/statm") >> size >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

}  // namespace touchstone::support
