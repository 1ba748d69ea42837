// The device abstraction and what stands on it: memory, staging, facts, elements, NVML.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "reference_engine/backend/cuda/device_memory.h"
#include "reference_engine/backend/cuda/elements.h"
#include "reference_engine/backend/cuda/staging.h"
#include "tests/cuda/emulated_device.h"

namespace touchstone::backend::cuda {
namespace {

using ::testing::HasSubstr;

DeviceFacts good_facts() {
  DeviceFacts facts;
  facts.name = "NVIDIA H100";
  facts.compute_major = 9;
  facts.multiprocessors = 132;
  facts.runtime_version = 13000;
  facts.driver_version = 13000;
  facts.total_bytes = int64_t{80} << 30;
  return facts;
}

TEST(DeviceFacts, EachReasonNotToRunIsOneMessage) {
  EXPECT_TRUE(check_facts(good_facts()));
  struct Row {
    std::function<void(DeviceFacts&)> change;
    std::string part;
  };
  const std::vector<Row> rows = {
      {[](DeviceFacts& facts) { facts.driver_version = 0; }, "no NVIDIA driver"},
      {[](DeviceFacts& facts) { facts.driver_version = 12080; },
       "CUDA driver: got one for CUDA 12.8, expected 13.0 or newer"},
      {[](DeviceFacts& facts) { facts.compute_major = 7, facts.compute_minor = 5; },
       "device 0 (NVIDIA H100): got compute capability 7.5, expected 8.0 or newer"}};
  for (const Row& row : rows) {
    DeviceFacts facts = good_facts();
    row.change(facts);
    const Status status = check_facts(facts);
    ASSERT_FALSE(status) << row.part;
    EXPECT_EQ(status.error().code, ErrorCode::kUnavailable);
    EXPECT_THAT(status.error().message, HasSubstr(row.part));
    EXPECT_NE(status.error().hint, "");
  }
  DeviceFacts newer = good_facts();
  newer.driver_version = 13020;
  EXPECT_TRUE(check_facts(newer));
  newer.runtime_version = 13010;
  newer.driver_version = 13000;
  EXPECT_TRUE(check_facts(newer)) << "minor versions are compatible";
}

TEST(DeviceMemory, WhatDoesNotFitSaysHowMuchWasNeededAndHad) {
  EmulatedDevice device({.memory_bytes = 1000});
  auto first = DeviceBuffer::make(device, 600, "weights");
  ASSERT_TRUE(first);
  const auto second = DeviceBuffer::make(device, 401, "KV cache");
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(second.error().message,
              HasSubstr("KV cache: needs 401 bytes of emulated device, free are 400 of 1,000"));
  *first = DeviceBuffer();
  EXPECT_TRUE(DeviceBuffer::make(device, 401, "KV cache"));
  EXPECT_EQ(device.allocations(), 0U) << "released with their owners";
}

TEST(EmulatedDevice, WorkIsDoneWhenSomebodyWaits) {
  EmulatedDevice device;
  auto memory = DeviceBuffer::make(device, 8, "memory").value();
  auto pinned = PinnedBuffer::make(device, 8).value();
  const auto write = [&](uint8_t value) { pinned.data()[0] = std::byte{value}; };
  write(1);
  ASSERT_TRUE(device.copy_in(memory.at(), pinned.data(), 1));
  ASSERT_TRUE(device.record(0));
  write(2);  // too early: the device has not copied yet
  ASSERT_TRUE(device.synchronize(0));
  EXPECT_EQ(memory.at<uint8_t>()[0], 2);
  int runs = 0;
  const auto graph = device.capture([&]() -> Status {
    return device.enqueue([&runs](Stream) -> Status {
      runs += 1;
      return {};
    });
  });
  ASSERT_TRUE(graph);
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(device.launch_graph(*graph));
  EXPECT_EQ(runs, 0);
  ASSERT_TRUE(device.record(1));
  ASSERT_TRUE(device.synchronize(1));
  EXPECT_EQ(runs, 2);
}

TEST(EmulatedDevice, AnErrorIsForGood) {
  EmulatedDevice device({.fails_at = 1});
  auto memory = DeviceBuffer::make(device, 8, "memory").value();
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(device.fill_zero(memory.at(), 8));
  ASSERT_TRUE(device.record(0));
  EXPECT_FALSE(device.synchronize(0));
  EXPECT_FALSE(device.synchronize(0));
  EXPECT_FALSE(device.fill_zero(memory.at(), 8));
}

TEST(Staging, EqualSizesGiveEqualAddressesAndHalvesDoNotDisturbEachOther) {
  EmulatedDevice device;
  Staging staging;
  ASSERT_TRUE(staging.reserve(device, 1024));
  const int32_t* first = nullptr;
  const double* second = nullptr;
  const int32_t* none = &*std::vector<int32_t>(1).begin();
  std::vector<const int32_t*> addresses;
  for (const size_t half : {0U, 1U}) {
    const std::vector<int32_t> ints = {1 + static_cast<int32_t>(half), 7, 9};
    const std::vector<double> doubles = {0.5};
    const std::vector<int32_t> empty;
    staging.add(ints, first);
    staging.add(doubles, second);
    staging.add(empty, none);
    ASSERT_TRUE(staging.send(device, half));
    EXPECT_EQ(none, nullptr);
    addresses.push_back(first);
  }
  EXPECT_EQ(addresses[0], addresses[1]);
  int32_t seen[2] = {};
  ASSERT_TRUE(device.record(0));
  ASSERT_TRUE(device.synchronize(0));
  seen[0] = first[0];
  EXPECT_EQ(seen[0], 2) << "the later plan's";
  EXPECT_EQ(second[0], 0.5);
  const std::vector<int32_t> large(10'000, 3);
  staging.add(large, first);
  ASSERT_TRUE(staging.send(device, 0));
  ASSERT_TRUE(device.record(0));
  ASSERT_TRUE(device.synchronize(0));
  EXPECT_EQ(first[9'999], 3) << "it grows";
}

TEST(Elements, HalvesAreThoseOfTheConversionBack) {
  // Every half that is a number converts to itself; ties go to even.
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float value = model::f16_to_float(static_cast<uint16_t>(bits));
    if (std::isnan(value)) continue;
    ASSERT_EQ(half_bits(value), bits) << bits;
  }
  EXPECT_EQ(rounded(Element::kFloat16, 1.0F + 0x1p-11F), 1.0F);
  EXPECT_EQ(rounded(Element::kFloat16, 1.0F + 3 * 0x1p-11F), 1.0F + 2 * 0x1p-10F);
  EXPECT_EQ(rounded(Element::kFloat16, 65519.0F), 65504.0F);
  EXPECT_TRUE(std::isinf(rounded(Element::kFloat16, 65520.0F)));
  EXPECT_TRUE(std::isnan(rounded(Element::kFloat16, std::nanf(""))));
  EXPECT_EQ(rounded(Element::kFloat16, 0x1p-25F), 0.0F);
  EXPECT_EQ(rounded(Element::kFloat16, 0x1.8p-25F), 0x1p-24F);
  EXPECT_EQ(rounded(Element::kFloat32, 0.1F), 0.1F);
  EXPECT_EQ(rounded(Element::kBFloat16, 0.1F), model::bf16_to_float(model::float_to_bf16(0.1F)));
}

TEST(DeviceFacts, TheDriversWordsAreOneLineWithTheRuntimes) {
  const GpuFacts gpu{.name = "NVIDIA H100",
                     .driver = "580.65.06",
                     .sm_clock_mhz = 1755,
                     .max_sm_clock_mhz = 1980,
                     .memory_clock_mhz = 2619,
                     .power_limit_w = 700,
                     .temperature_c = 41,
                     .throttled = {"software power cap", "software thermal"}};
  EXPECT_EQ(describe_device(good_facts(), gpu),
            "NVIDIA H100 (GPU 0, sm_90, 132 multiprocessors, 80.0 GiB), driver 580.65.06, 1755 of "
            "1980 MHz, memory 2619 MHz, limit 700 W, 41 C, throttled: software power cap and "
            "software thermal");
  EXPECT_EQ(describe_device(good_facts(), unavailable("NVML: not there")),
            "NVIDIA H100 (GPU 0, sm_90, 132 multiprocessors, 80.0 GiB), NVML: not there");
}

}  // namespace
}  // namespace touchstone::backend::cuda
