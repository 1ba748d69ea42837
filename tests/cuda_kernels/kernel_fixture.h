// What the tests of the kernels share: memory that the emulator knows, elements of each type, and
// launches in several orders of threads and blocks.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "base/random.h"
#include "reference_engine/backend/cuda/kernels.h"

namespace touchstone::backend::cuda {

/// Memory of exactly this size, aligned as a device's is. `written`: its owner fills it; if not, a
/// kernel may read only what a kernel has written.
class DeviceMemory {
 public:
  DeviceMemory(size_t bytes, const std::string& name, bool written = false);
  ~DeviceMemory();
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;

  std::byte* bytes() { return data_; }
  size_t size_bytes() const { return size_; }

 private:
  std::byte* data_;
  size_t size_;
};

/// An array of plain values.
template <typename T>
class Array : public DeviceMemory {
 public:
  explicit Array(const std::vector<T>& values, const std::string& name = "array")
      : DeviceMemory(values.size() * sizeof(T), name, true), count_(values.size()) {
    std::memcpy(bytes(), values.data(), size_bytes());
  }
  T* data() { return reinterpret_cast<T*>(bytes()); }
  std::vector<T> values() { return {data(), data() + count_}; }
  T operator[](size_t i) { return data()[i]; }

 private:
  size_t count_;
};

/// An array of elements, seen as floats.
class Elements : public DeviceMemory {
 public:
  Elements(Element element, const std::vector<float>& values, const std::string& name = "elements");
  std::vector<float> values();
  float operator[](size_t i);

 private:
  Element element_;
  size_t count_;
};

/// `x` as an element of this type holds it.
float rounded(Element element, float x);
/// What an element loses at most, relative to its value, with a margin for sums in another order.
float tolerance(Element element);

/// Seeded values in [-1, 1), rounded to the element.
std::vector<float> random_values(Element element, size_t count, uint64_t seed, float size = 1);

/// Runs `call` with threads and blocks in several orders. Each time `memory` starts with what it
/// held, and must end with the same bits; nothing may have been reported.
void expect_one_result(const std::vector<DeviceMemory*>& memory, const std::function<void()>& call);

/// |got - want| <= tolerance * (1 + |want|), element by element; NaN never passes.
void expect_near(const std::vector<float>& got, const std::vector<float>& want, float tolerance,
                 const std::string& what);

/// A test for each element type; fails when the emulator found something.
class KernelTest : public testing::TestWithParam<Element> {
 protected:
  void TearDown() override;
};
std::string element_name(const testing::TestParamInfo<Element>& info);
#define TOUCHSTONE_FOR_ALL_ELEMENTS(suite)                                                   \
  INSTANTIATE_TEST_SUITE_P(                                                                  \
      All, suite, testing::Values(Element::kFloat32, Element::kBFloat16, Element::kFloat16), \
      element_name)

}  // namespace touchstone::backend::cuda
