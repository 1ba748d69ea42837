#include "reference_engine/backend/cpu/cpu_features.h"

#if defined(__x86_64__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "base/text.h"

namespace touchstone::backend::cpu {
namespace {

// __builtin_cpu_supports also asks whether the operating system saves the wide registers.
bool has_avx2() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
  return false;
#endif
}

bool has_avx512() {
#if defined(__x86_64__)
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#else
  return false;
#endif
}

/// The kernel gives a process the tiles' registers when it asks, once for all of its threads.
bool has_amx() {
#if defined(__x86_64__) && defined(SYS_arch_prctl)
  constexpr int kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr int kTileData = 18;               // XFEATURE_XTILEDATA
  static const bool kGranted = __builtin_cpu_supports("amx-tile") &&
                               __builtin_cpu_supports("amx-bf16") &&
                               ::syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
  return has_avx512() && kGranted;
#else
  return false;
#endif
}

}  // namespace

std::vector<const Kernels*> supported_kernels() {
  std::vector<const Kernels*> tables;
  if (has_amx() && amx_kernels() != nullptr) tables.push_back(amx_kernels());
  if (has_avx512() && avx512_kernels() != nullptr) tables.push_back(avx512_kernels());
  if (has_avx2() && avx2_kernels() != nullptr) tables.push_back(avx2_kernels());
  tables.push_back(&portable_kernels());
  return tables;
}

Result<const Kernels*> choose_kernels(const std::string& name) {
  const std::vector<const Kernels*> tables = supported_kernels();
  if (name == "auto") return tables.front();
  std::vector<std::string> names;
  for (const Kernels* table : tables) {
    if (name == table->name) return table;
    names.emplace_back(table->name);
  }
  if (name == "amx" || name == "avx512" || name == "avx2") {
    return Error{ErrorCode::kUnsupported,
                 "--kernels: this processor has no " + name + ", only " + join(names, ", "),
                 "use --kernels auto"};
  }
  return invalid_argument("--kernels: got " + quote(name) +
                          ", expected auto, amx, avx512, avx2 or portable");
}

}  // namespace touchstone::backend::cpu
