#include "tests/cuda_kernels/kernel_fixture.h"

#include <cmath>

#include "tests/cuda_emulator/device.h"

namespace touchstone::backend::cuda {
namespace {

constexpr std::align_val_t kAlignment{256};

template <typename F>
auto with(Element element, const F& f) {
  if (element == Element::kBFloat16) return f(BFloat16{});
  if (element == Element::kFloat16) return f(Half{});
  return f(float{});
}

}  // namespace

DeviceMemory::DeviceMemory(size_t bytes, const std::string& name, bool written)
    : data_(static_cast<std::byte*>(::operator new(bytes, kAlignment))), size_(bytes) {
  emulator::add_buffer(data_, bytes, name, written);
}

DeviceMemory::~DeviceMemory() {
  emulator::remove_buffer(data_);
  ::operator delete(data_, kAlignment);
}

Elements::Elements(Element element, const std::vector<float>& values, const std::string& name)
    : DeviceMemory(values.size() * static_cast<size_t>(element_bytes(element)), name, true),
      element_(element),
      count_(values.size()) {
  with(element, [&](auto zero) {
    using T = decltype(zero);
    for (size_t i = 0; i < count_; ++i) reinterpret_cast<T*>(bytes())[i] = from_float<T>(values[i]);
  });
}

float Elements::operator[](size_t i) {
  return with(element_,
              [&](auto zero) { return to_float(reinterpret_cast<decltype(zero)*>(bytes())[i]); });
}

std::vector<float> Elements::values() {
  std::vector<float> all(count_);
  for (size_t i = 0; i < count_; ++i) all[i] = (*this)[i];
  return all;
}

float rounded(Element element, float x) {
  return with(element, [&](auto zero) { return to_float(from_float<decltype(zero)>(x)); });
}

float tolerance(Element element) {
  // Half a unit in the last of 8, 11 and 24 bits; for f32 the sums matter more.
  if (element == Element::kBFloat16) return 0x1p-8F;
  return element == Element::kFloat16 ? 0x1p-11F : 2e-5F;
}

std::vector<float> random_values(Element element, size_t count, uint64_t seed, float size) {
  RandomStream random(seed, "values");
  std::vector<float> values(count);
  for (float& value : values) {
    value = rounded(element, size * static_cast<float>(random.uniform() * 2 - 1));
  }
  return values;
}

void expect_one_result(const std::vector<DeviceMemory*>& memory,
                       const std::function<void()>& call) {
  using Bytes = std::vector<std::byte>;
  const auto copy = [&] {
    std::vector<Bytes> all;
    for (DeviceMemory* one : memory)
      all.emplace_back(one->bytes(), one->bytes() + one->size_bytes());
    return all;
  };
  const std::vector<Bytes> before = copy();
  std::vector<Bytes> after;
  for (const auto order :
       {emulator::Order::kBackward, emulator::Order::kShuffled, emulator::Order::kForward}) {
    for (size_t i = 0; i < memory.size(); ++i) {
      std::memcpy(memory[i]->bytes(), before[i].data(), before[i].size());
    }
    // Races do not depend on the order: looked for once.
    emulator::set_options(
        {.order = order, .seed = 7, .find_races = order == emulator::Order::kForward});
    call();
    if (!after.empty()) {
      EXPECT_EQ(after, copy()) << "another order of threads, another result";
    }
    after = copy();
  }
  emulator::set_options({});
}

void expect_near(const std::vector<float>& got, const std::vector<float>& want, float tolerance,
                 const std::string& what) {
  ASSERT_EQ(got.size(), want.size()) << what;
  int shown = 0;
  for (size_t i = 0; i < got.size() && shown < 5; ++i) {
    if (std::abs(got[i] - want[i]) <= tolerance * (1 + std::abs(want[i]))) continue;
    ADD_FAILURE() << what << "[" << i << "]: got " << got[i] << ", expected " << want[i];
    shown += 1;
  }
}

void KernelTest::TearDown() {
  for (const std::string& error : emulator::take_errors()) ADD_FAILURE() << error;
}

std::string element_name(const testing::TestParamInfo<Element>& info) {
  if (info.param == Element::kBFloat16) return "bf16";
  return info.param == Element::kFloat16 ? "f16" : "f32";
}

}  // namespace touchstone::backend::cuda
