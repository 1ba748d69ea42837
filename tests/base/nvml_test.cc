#include "base/nvml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace touchstone {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Nvml, SaysWhatTheLibrarySays) {
  const auto gpu = read_gpu("00000000:18:00.0", TOUCHSTONE_FAKE_NVML);
  ASSERT_TRUE(gpu) << gpu.error().message;
  EXPECT_EQ(gpu->name, "NVIDIA H100 80GB HBM3");
  EXPECT_EQ(gpu->driver, "580.65.06");
  EXPECT_EQ(gpu->sm_clock_mhz, 1755);
  EXPECT_EQ(gpu->max_sm_clock_mhz, 1980);
  EXPECT_EQ(gpu->memory_clock_mhz, 2619);
  EXPECT_EQ(gpu->power_limit_w, 700);
  EXPECT_EQ(gpu->temperature_c, 41);
  EXPECT_THAT(gpu->throttled, ElementsAre("software power cap", "software thermal"));
  const auto all = read_gpus(TOUCHSTONE_FAKE_NVML);
  ASSERT_TRUE(all) << all.error().message;
  ASSERT_EQ(all->size(), 1U);
  EXPECT_EQ(all->front().name, gpu->name);
}

TEST(Nvml, WhatIsNotThereIsNamed) {
  const auto other = read_gpu("00000000:19:00.0", TOUCHSTONE_FAKE_NVML);
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().message, "NVML: nvmlDeviceGetHandleByPciBusId_v2: code 6");
  const auto missing = read_gpus("/no/such/libnvidia-ml.so.1");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(missing.error().message, HasSubstr("/no/such/libnvidia-ml.so.1"));
}

}  // namespace
}  // namespace touchstone
