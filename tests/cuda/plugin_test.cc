// The CUDA plugin as it was built: it loads, says what this machine lacks, and the machine code of
// its kernels keeps everything in registers. Only in the preset `cuda`.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <map>

#include "base/files.h"
#include "base/text.h"
#include "reference_engine/backend/plugin_backend.h"

namespace touchstone::backend {
namespace {

using ::testing::HasSubstr;

/// What the assembler said of one kernel on one kind of GPU.
struct KernelResources {
  std::string where;  // "_Z…kernel for sm_80"
  int spilled_bytes = 0;
  int registers = 0;
};

/// Of `ptxas -v`: three lines a kernel.
std::vector<KernelResources> parse_report(const std::string& text) {
  std::vector<KernelResources> kernels;
  for (const std::string& line : split(text, '\n')) {
    const size_t entry = line.find("Compiling entry function '");
    if (entry != std::string::npos) {
      const std::vector<std::string> words = split(line.substr(entry), '\'');
      kernels.push_back({.where = words.at(1) + " for " + words.at(3)});
    }
    int stack = 0;
    int stores = 0;
    int loads = 0;
    if (!kernels.empty() &&
        std::sscanf(line.c_str(), " %d bytes stack frame, %d bytes spill stores, %d bytes spill",
                    &stack, &stores, &loads) == 3) {
      kernels.back().spilled_bytes = stores + loads;
    }
    const size_t used = line.find("Used ");
    if (!kernels.empty() && used != std::string::npos) {
      kernels.back().registers = std::atoi(line.c_str() + used + 5);
    }
  }
  return kernels;
}

TEST(PtxasReport, IsRead) {
  const auto kernels = parse_report(
      "ptxas info    : Compiling entry function '_Z4gemm' for 'sm_80'\n"
      "ptxas info    : Function properties for _Z4gemm\n"
      "    16 bytes stack frame, 8 bytes spill stores, 4 bytes spill loads\n"
      "ptxas info    : Used 255 registers, used 1 barriers, 417 bytes cmem[0]\n");
  ASSERT_EQ(kernels.size(), 1U);
  EXPECT_EQ(kernels[0].where, "_Z4gemm for sm_80");
  EXPECT_EQ(kernels[0].spilled_bytes, 12);
  EXPECT_EQ(kernels[0].registers, 255);
}

TEST(CudaPlugin, NoKernelSpillsRegisters) {
  std::map<std::string, int> by_target;
  for (const auto& entry : std::filesystem::directory_iterator(TOUCHSTONE_PTXAS_REPORTS)) {
    if (entry.path().extension() != ".ptxas") continue;
    const auto text = read_file(entry.path().string());
    ASSERT_TRUE(text);
    for (const KernelResources& kernel : parse_report(*text)) {
      EXPECT_EQ(kernel.spilled_bytes, 0) << entry.path().filename() << ": " << kernel.where;
      EXPECT_GT(kernel.registers, 0) << kernel.where;
      by_target[kernel.where.substr(kernel.where.rfind(' ') + 1)] += 1;
    }
  }
  ASSERT_EQ(by_target.size(), 3U) << "sm_80, sm_89, sm_90a";
  for (const auto& [target, count] : by_target) {
    EXPECT_GE(count, 10) << target;
    EXPECT_EQ(count, by_target.begin()->second) << target << ": every kernel on every target";
  }
}

TEST(CudaPlugin, LoadsAndSaysWhatTheMachineLacks) {
  const auto plugin = load_plugin(TOUCHSTONE_CUDA_PLUGIN);
  ASSERT_TRUE(plugin) << plugin.error().message;
  EXPECT_EQ((*plugin)->name(), "cuda");
  const Status usable = (*plugin)->probe();
  if (usable) GTEST_SKIP() << "there is a GPU: what scripts/gpu_check tests";
  EXPECT_EQ(usable.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(usable.error().message, HasSubstr("CUDA"));
  EXPECT_NE(usable.error().hint, "");
}

}  // namespace
}  // namespace touchstone::backend
