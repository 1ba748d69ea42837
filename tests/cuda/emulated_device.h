// A device of the host's memory. Its queue is worked off only when somebody waits for it, as late
// as a GPU could ever be: what reads a result too early, or writes on what a copy in the queue
// still needs, shows. Kernels are those of the emulator (tests/cuda_emulator), and what it finds is
// an error of the device. Thread-compatible.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <thread>
#include <vector>

#include "reference_engine/backend/cuda/device_api.h"

namespace touchstone::backend::cuda {

struct EmulatedOptions {
  int64_t memory_bytes = int64_t{1} << 30;
  /// Races between the threads of a kernel are looked for.
  bool find_races = true;
  /// The queue's item of this number, counted from the start, fails for good; absent: none does.
  std::optional<int64_t> fails_at = {};
};

class EmulatedDevice final : public Device {
 public:
  explicit EmulatedDevice(const EmulatedOptions& options = {});
  ~EmulatedDevice() override;

  const DeviceFacts& facts() const override { return facts_; }
  Result<MemoryInfo> memory() override;
  Result<void*> allocate(int64_t bytes) override;
  void release(void* memory) override;
  Result<void*> allocate_pinned(int64_t bytes) override;
  void release_pinned(void* memory) override;
  Status copy_in(void* to, const void* from, int64_t bytes) override;
  Status copy_out(void* to, const void* from, int64_t bytes) override;
  Status fill_zero(void* memory, int64_t bytes) override;
  Status enqueue(const Work& work) override;
  Status record(int32_t event) override;
  Status synchronize(int32_t event) override;
  Result<int32_t> capture(const std::function<Status()>& work) override;
  Status launch_graph(int32_t graph) override;

  // What happened so far, for tests.
  int64_t synchronizations() const { return synchronizations_; }
  int64_t graph_launches() const { return graph_launches_; }
  size_t graphs() const { return graphs_.size(); }
  size_t allocations() const { return allocated_.size() + pinned_.size(); }

 private:
  Status run_one();
  void show_buffers();

  EmulatedOptions options_;
  DeviceFacts facts_;
  struct Allocation {
    int64_t bytes = 0;
    std::set<std::thread::id> shown_to;  // the emulator's state is of a thread
  };
  std::map<void*, Allocation> allocated_;
  std::map<void*, int64_t> pinned_;
  int64_t allocated_bytes_ = 0;
  std::deque<Work> queue_;
  int64_t enqueued_ = 0;          // items ever added to the queue
  int64_t done_ = 0;              // of these
  int64_t events_[kEvents] = {};  // NOLINT: items before the mark
  std::vector<std::vector<Work>> graphs_;
  std::vector<Work>* capturing_ = nullptr;
  Status failed_;
  int64_t synchronizations_ = 0;
  int64_t graph_launches_ = 0;
};

}  // namespace touchstone::backend::cuda
