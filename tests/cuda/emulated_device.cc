#include "tests/cuda/emulated_device.h"

#include <cstdlib>
#include <cstring>

#include "base/check.h"
#include "base/text.h"
#include "tests/cuda_emulator/emulator.h"
#include "tests/cuda_emulator/memory_check.h"

namespace touchstone::backend::cuda {
namespace {

constexpr size_t kAlignment = 256;
/// What uninitialised memory holds: a NaN in every type.
constexpr int kGarbage = 0xFF;

void* allocate_host(int64_t bytes) {
  const size_t rounded = (static_cast<size_t>(bytes) + kAlignment - 1) / kAlignment * kAlignment;
  void* memory = std::aligned_alloc(kAlignment, rounded);
  BASE_CHECK(memory != nullptr, bytes);
  std::memset(memory, kGarbage, rounded);
  return memory;
}

}  // namespace

EmulatedDevice::EmulatedDevice(const EmulatedOptions& options) : options_(options) {
  facts_ = {.name = "emulated device",
            .compute_major = 8,
            .compute_minor = 0,
            .multiprocessors = 1,
            .runtime_version = 13000,
            .driver_version = 13000,
            .total_bytes = options.memory_bytes,
            .pci_bus_id = {}};
}

EmulatedDevice::~EmulatedDevice() {
  while (!allocated_.empty()) release(allocated_.begin()->first);
  for (const auto& [memory, bytes] : pinned_) std::free(memory);
}

Result<MemoryInfo> EmulatedDevice::memory() {
  return MemoryInfo{.free_bytes = options_.memory_bytes - allocated_bytes_,
                    .total_bytes = options_.memory_bytes};
}

Result<void*> EmulatedDevice::allocate(int64_t bytes) {
  if (bytes > options_.memory_bytes - allocated_bytes_) {
    return unavailable("emulated device: out of memory");
  }
  void* memory = allocate_host(bytes);
  allocated_[memory].bytes = bytes;
  allocated_bytes_ += bytes;
  return memory;
}

void EmulatedDevice::release(void* memory) {
  const auto found = allocated_.find(memory);
  BASE_CHECK(found != allocated_.end(), "memory that was not allocated");
  // As on a GPU, where releasing waits for what may use the memory.
  while (!queue_.empty() && failed_) failed_ = run_one();
  if (found->second.shown_to.contains(std::this_thread::get_id())) {
    cuda_emulator::remove_buffer(memory);
  }
  allocated_bytes_ -= found->second.bytes;
  allocated_.erase(found);
  std::free(memory);
}

Result<void*> EmulatedDevice::allocate_pinned(int64_t bytes) {
  void* memory = allocate_host(bytes);
  pinned_[memory] = bytes;
  return memory;
}

void EmulatedDevice::release_pinned(void* memory) {
  BASE_CHECK(pinned_.erase(memory) == 1, "memory that was not allocated");
  std::free(memory);
}

Status EmulatedDevice::enqueue(const Work& work) {
  RETURN_IF_ERROR(failed_);
  if (capturing_ != nullptr) {
    capturing_->push_back(work);
    return {};
  }
  queue_.push_back(work);
  enqueued_ += 1;
  return {};
}

Status EmulatedDevice::copy_in(void* to, const void* from, int64_t bytes) {
  BASE_CHECK(capturing_ == nullptr, "a copy of host memory within a graph");
  return enqueue([=](Stream) -> Status {
    std::memcpy(to, from, static_cast<size_t>(bytes));
    return {};
  });
}

Status EmulatedDevice::copy_out(void* to, const void* from, int64_t bytes) {
  return copy_in(to, from, bytes);
}

Status EmulatedDevice::fill_zero(void* memory, int64_t bytes) {
  return enqueue([=](Stream) -> Status {
    std::memset(memory, 0, static_cast<size_t>(bytes));
    return {};
  });
}

/// To the emulator in this thread.
void EmulatedDevice::show_buffers() {
  for (auto& [memory, allocation] : allocated_) {
    if (!allocation.shown_to.insert(std::this_thread::get_id()).second) continue;
    cuda_emulator::add_buffer(memory, static_cast<size_t>(allocation.bytes), "device memory");
  }
}

Status EmulatedDevice::run_one() {
  const Work work = std::move(queue_.front());
  queue_.pop_front();
  if (options_.fails_at && done_ == *options_.fails_at) {
    return unavailable("CUDA: an illegal memory access was encountered (emulated)");
  }
  done_ += 1;
  show_buffers();
  cuda_emulator::set_options({.find_races = options_.find_races});
  RETURN_IF_ERROR(work(nullptr));
  const std::vector<std::string> found = cuda_emulator::take_errors();
  return found.empty() ? Status() : unavailable("emulator: " + join(found, "\n"));
}

Status EmulatedDevice::record(int32_t event) {
  BASE_CHECK(event >= 0 && event < kEvents, event);
  RETURN_IF_ERROR(failed_);
  events_[event] = enqueued_;
  return {};
}

Status EmulatedDevice::synchronize(int32_t event) {
  BASE_CHECK(event >= 0 && event < kEvents, event);
  synchronizations_ += 1;
  while (failed_ && done_ < events_[event]) failed_ = run_one();
  return failed_;
}

Result<int32_t> EmulatedDevice::capture(const std::function<Status()>& work) {
  BASE_CHECK(capturing_ == nullptr, "a graph within a graph");
  std::vector<Work> graph;
  capturing_ = &graph;
  const Status captured = work();
  capturing_ = nullptr;
  RETURN_IF_ERROR(captured);
  graphs_.push_back(std::move(graph));
  return static_cast<int32_t>(graphs_.size()) - 1;
}

Status EmulatedDevice::launch_graph(int32_t graph) {
  graph_launches_ += 1;
  for (const Work& work : graphs_.at(static_cast<size_t>(graph))) RETURN_IF_ERROR(enqueue(work));
  return {};
}

}  // namespace touchstone::backend::cuda
