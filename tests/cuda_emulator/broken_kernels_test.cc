// Kernels that are right and the same kernels broken on purpose: what the emulator must find, and
// what it must not complain about.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "reference_engine/backend/cuda/kernels/device.h"

namespace touchstone::backend::cuda {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr int kThreads = 64;

/// A registered array of ints.
class Ints {
 public:
  explicit Ints(size_t count, const std::string& name = "ints") : values(count) {
    std::iota(values.begin(), values.end(), 1);
    emulator::add_buffer(values.data(), values.size() * sizeof(int32_t), name);
  }
  ~Ints() { emulator::remove_buffer(values.data()); }
  Ints(const Ints&) = delete;
  Ints& operator=(const Ints&) = delete;

  std::vector<int32_t> values;
};

class BrokenKernels : public testing::Test {
 protected:
  void SetUp() override { emulator::take_errors(); }
  void TearDown() override {
    EXPECT_THAT(emulator::take_errors(), IsEmpty());
    emulator::set_options({});
  }
  /// What launching `kernel` on two blocks reports.
  template <typename... P>
  std::vector<std::string> errors(void (*kernel)(P...), const std::type_identity_t<P>&... args) {
    launch("kernel", kernel, {2, 1, 1}, kThreads, 256, nullptr, args...);
    return emulator::take_errors();
  }
  template <typename... P>
  std::string first_error(void (*kernel)(P...), const std::type_identity_t<P>&... args) {
    const auto all = errors(kernel, args...);
    return all.empty() ? "nothing found" : all[0];
  }
};

/// out[block] = sum of in, through shared memory.
TOUCHSTONE_KERNEL sum_kernel(const int32_t* in, int32_t* out, bool barrier) {
  TOUCHSTONE_SHARED(int32_t, part, kThreads);
  part[thread_index()] = load(in + thread_index());
  if (barrier) sync_block();
  if (thread_index() != 0) return;
  int32_t sum = 0;
  for (int i = 0; i < kThreads; ++i) sum += part[i];
  store(out + block_index().x, sum);
}

TEST_F(BrokenKernels, AMissingBarrierIsARace) {
  Ints in(kThreads);
  Ints out(2);
  EXPECT_THAT(errors(sum_kernel, in.values.data(), out.values.data(), true), IsEmpty());
  EXPECT_THAT(out.values, ElementsAre(64 * 65 / 2, 64 * 65 / 2));
  for (const auto order : {emulator::Order::kForward, emulator::Order::kBackward}) {
    emulator::set_options({.order = order});
    EXPECT_THAT(errors(sum_kernel, in.values.data(), out.values.data(), false),
                Contains(HasSubstr("race:")));
  }
}

TOUCHSTONE_KERNEL copy_kernel(const int32_t* in, int32_t* out, int32_t count) {
  const int i = block_index().x * kThreads + thread_index();
  if (i < count) store(out + i, load(in + i));
}

TEST_F(BrokenKernels, OneElementTooManyIsOutside) {
  Ints in(100, "in");
  Ints more(101, "more");
  EXPECT_THAT(errors(copy_kernel, in.values.data(), more.values.data(), 100), IsEmpty());
  EXPECT_THAT(first_error(copy_kernel, in.values.data(), more.values.data(), 101),
              testing::AllOf(HasSubstr("block (1, 0, 0) thread 36"),
                             HasSubstr("reads 4 bytes outside"), HasSubstr("bytes")));
  EXPECT_THAT(first_error(copy_kernel, more.values.data(), in.values.data(), 101),
              HasSubstr("writes 4 bytes outside"));
}

/// The butterfly sum of a warp; `masks` from the largest down.
TOUCHSTONE_KERNEL butterfly_kernel(int32_t* out, int last_mask) {
  int32_t sum = lane();
  for (int mask = 16; mask >= last_mask; mask /= 2) sum += shuffle_xor(sum, mask);
  if (lane() == 0 && block_index().x == 0) store(out + warp(), sum);
}

TEST_F(BrokenKernels, AMissingLaneGivesAnotherSum) {
  Ints out(2);
  EXPECT_THAT(errors(butterfly_kernel, out.values.data(), 1), IsEmpty());
  EXPECT_THAT(out.values, ElementsAre(31 * 16, 31 * 16));
  EXPECT_THAT(errors(butterfly_kernel, out.values.data(), 2), IsEmpty());
  EXPECT_THAT(out.values, ElementsAre(15 * 16, 15 * 16)) << "even lanes alone";
}

TOUCHSTONE_KERNEL half_barrier_kernel() {
  if (thread_index() < 32) sync_block();
}
TOUCHSTONE_KERNEL half_shuffle_kernel() {
  if (lane() < 16) shuffle(1, 0);
}
TOUCHSTONE_KERNEL mixed_kernel() {
  if (lane() < 16) {
    shuffle(1, 0);
  } else {
    ballot(true);
  }
}

TEST_F(BrokenKernels, BarriersThatNotAllReachAreFound) {
  EXPECT_THAT(first_error(half_barrier_kernel),
              HasSubstr("divergent barrier: 32 threads have ended, 32 threads wait at the block's "
                        "barrier"));
  EXPECT_THAT(first_error(half_shuffle_kernel), HasSubstr("wait at a shuffle"));
  EXPECT_THAT(first_error(mixed_kernel),
              HasSubstr("32 threads wait at a shuffle, 32 threads wait at a vote"));
}

TEST_F(BrokenKernels, AfterAStuckBlockTheNextLaunchWorks) {
  Ints out(2);
  EXPECT_EQ(errors(half_barrier_kernel).size(), 2u);
  EXPECT_THAT(errors(butterfly_kernel, out.values.data(), 1), IsEmpty());
  EXPECT_THAT(out.values, ElementsAre(31 * 16, 31 * 16));
}

TOUCHSTONE_KERNEL all_write_kernel(int32_t* out, bool atomic) {
  if (thread_index() != 0) return;
  if (atomic) {
    atomic_add(out, 5);
  } else {
    store(out, 5);
  }
}

TEST_F(BrokenKernels, BlocksThatWriteOnePlaceRaceUnlessAtomically) {
  Ints out(1);
  EXPECT_THAT(errors(all_write_kernel, out.values.data(), false), Contains(HasSubstr("race:")));
  EXPECT_THAT(errors(all_write_kernel, out.values.data(), true), IsEmpty());
  EXPECT_THAT(out.values, ElementsAre(15));
}

/// Neighbours of a warp swap through shared memory.
TOUCHSTONE_KERNEL swap_kernel(int32_t* out, bool barrier) {
  TOUCHSTONE_SHARED(int32_t, part, kThreads);
  part[thread_index()] = thread_index();
  if (barrier) sync_warp();
  const int32_t other = part[thread_index() ^ 1];
  if (block_index().x == 0) store(out + thread_index(), other);
}

TEST_F(BrokenKernels, AWarpsBarrierOrdersTheWarpAlone) {
  Ints out(kThreads);
  EXPECT_THAT(errors(swap_kernel, out.values.data(), true), IsEmpty());
  EXPECT_EQ(out.values[0], 1);
  EXPECT_THAT(errors(swap_kernel, out.values.data(), false), Contains(HasSubstr("race:")));
}

/// A warp's barrier where the block's is needed.
TOUCHSTONE_KERNEL other_warp_kernel() {
  TOUCHSTONE_SHARED(int32_t, part, kThreads);
  part[thread_index()] = 1;
  sync_warp();
  [[maybe_unused]] const int32_t other = part[thread_index() ^ 32];
}

TEST_F(BrokenKernels, AWarpsBarrierDoesNotOrderOtherWarps) {
  EXPECT_THAT(errors(other_warp_kernel), Contains(HasSubstr("race:")));
}

TOUCHSTONE_KERNEL shared_kernel(int at, bool writes) {
  const Shared<int32_t> part = dynamic_shared<int32_t>(0, 64);
  if (thread_index() != 0) return;
  if (writes) part[at] = 1;
  [[maybe_unused]] const int32_t value = part[at];
}
TOUCHSTONE_KERNEL too_much_kernel() { dynamic_shared<int32_t>(0, 65); }

TEST_F(BrokenKernels, SharedMemoryHasBoundsAndMustBeWritten) {
  EXPECT_THAT(errors(shared_kernel, 63, true), IsEmpty());
  EXPECT_THAT(first_error(shared_kernel, 64, true), HasSubstr("element 64 of 64"));
  EXPECT_THAT(first_error(shared_kernel, -1, true), HasSubstr("element -1 of 64"));
  EXPECT_THAT(first_error(shared_kernel, 5, false), HasSubstr("which nobody wrote"));
  EXPECT_THAT(first_error(too_much_kernel), HasSubstr("ends at byte 260 of 256"));
}

enum class Wait { kProper, kNone, kBarrierOnly, kNoBarrier, kOneTooFew };

/// Two groups of copies; each thread then reads what its neighbour of the other warp has copied.
TOUCHSTONE_KERNEL copy_async_kernel(const int32_t* in, int32_t* out, Wait wait) {
  TOUCHSTONE_SHARED(int32_t, part, 2 * 4 * kThreads);
  const int at = 4 * thread_index();
  copy_async(part, at, in + at, true);
  copy_async_commit();
  copy_async(part, 4 * kThreads + at, in + at, thread_index() != 0);
  copy_async_commit();
  if (wait == Wait::kProper || wait == Wait::kNoBarrier) copy_async_wait<0>();
  if (wait == Wait::kOneTooFew) copy_async_wait<1>();
  if (wait != Wait::kNone && wait != Wait::kNoBarrier) sync_block();
  const int other = 4 * (thread_index() ^ 32);
  const int32_t first = part[other];
  const int32_t second = part[4 * kThreads + other];
  copy_async_wait<0>();
  if (block_index().x == 0) store(out + thread_index(), first + second);
}

TEST_F(BrokenKernels, CopiesMustBeWaitedForAndThenNeedABarrier) {
  Ints in(4 * kThreads);
  Ints out(kThreads);
  const auto* from = in.values.data();
  auto* to = out.values.data();
  EXPECT_THAT(errors(copy_async_kernel, from, to, Wait::kProper), IsEmpty());
  EXPECT_EQ(out.values[0], 2 * 129);
  EXPECT_EQ(out.values[32], 1) << "a copy that is not valid leaves zeros";
  const std::string not_waited = "an asynchronous copy was not waited for";
  EXPECT_THAT(errors(copy_async_kernel, from, to, Wait::kNone), Contains(HasSubstr("race:")));
  EXPECT_THAT(errors(copy_async_kernel, from, to, Wait::kBarrierOnly),
              Contains(HasSubstr(not_waited)));
  EXPECT_THAT(errors(copy_async_kernel, from, to, Wait::kOneTooFew),
              Contains(HasSubstr(not_waited)));
  EXPECT_THAT(errors(copy_async_kernel, from, to, Wait::kNoBarrier), Contains(HasSubstr("race:")));
}

/// What the order of threads decides, without a race: the first to come.
TOUCHSTONE_KERNEL first_come_kernel(int32_t* out) {
  TOUCHSTONE_SHARED(int32_t, next, 1);
  if (thread_index() == 0) next[0] = 0;
  sync_block();
  const int32_t place = atomic_add(next, 0, 1);
  if (block_index().x == 0) store(out + place, thread_index());
}

TEST_F(BrokenKernels, OrdersOfThreadsDiffer) {
  std::vector<std::vector<int32_t>> results;
  for (const auto order :
       {emulator::Order::kForward, emulator::Order::kBackward, emulator::Order::kShuffled}) {
    Ints out(kThreads);
    emulator::set_options({.order = order, .seed = 3});
    EXPECT_THAT(errors(first_come_kernel, out.values.data()), IsEmpty());
    results.push_back(out.values);
  }
  EXPECT_EQ(results[0][0], 0);
  EXPECT_EQ(results[1][0], kThreads - 1);
  EXPECT_NE(results[2], results[0]);
  std::sort(results[2].begin(), results[2].end());
  EXPECT_EQ(results[2], results[0]);
}

TOUCHSTONE_KERNEL fill_kernel(int32_t* data, int32_t count) {
  const int i = block_index().x * kThreads + thread_index();
  if (i < count) store(data + i, i);
}

TEST_F(BrokenKernels, WhatNoKernelWroteIsNotRead) {
  std::vector<int32_t> workspace(100);
  Ints out(100);
  emulator::add_buffer(workspace.data(), 400, "workspace", false);
  EXPECT_THAT(errors(fill_kernel, workspace.data(), 99), IsEmpty());
  EXPECT_THAT(errors(copy_kernel, workspace.data(), out.values.data(), 99), IsEmpty());
  EXPECT_THAT(first_error(copy_kernel, workspace.data(), out.values.data(), 100),
              HasSubstr("reads workspace at byte 396, which nobody wrote"));
  emulator::remove_buffer(workspace.data());
}

TOUCHSTONE_KERNEL unaligned_kernel(const int32_t* in) { load_pack(in + 1); }

TEST_F(BrokenKernels, SixteenBytesAreAligned) {
  alignas(16) int32_t in[8] = {};
  emulator::add_buffer(in, sizeof(in), "in");
  EXPECT_THAT(first_error(unaligned_kernel, in), HasSubstr("not a multiple"));
  emulator::remove_buffer(in);
}

TOUCHSTONE_KERNEL many_errors_kernel(int32_t* out) { store(out + 1, 1); }

TEST_F(BrokenKernels, ErrorsOfOneKindAreToldTwice) {
  Ints out(1);
  EXPECT_THAT(errors(many_errors_kernel, out.values.data()), testing::SizeIs(emulator::kMaxAlike));
}

}  // namespace
}  // namespace touchstone::backend::cuda
