// What the CUDA engine needs of a device: memory, one queue of work, events, graphs, errors. The
// engine is written against this alone, so the same code runs on a GPU (runtime_device.h, in the
// plugin) and on the emulator of the tests. An error of a device is for good: every later call
// returns it (CUDA's "sticky" errors). Thread-compatible.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/nvml.h"
#include "base/result.h"
#include "reference_engine/backend/cuda/kernels.h"

namespace touchstone::backend::cuda {

struct DeviceFacts {
  std::string name;  ///< "NVIDIA H100 80GB HBM3"
  int32_t index = 0;
  int32_t compute_major = 0;  ///< compute capability 9.0: 9 and 0
  int32_t compute_minor = 0;
  int32_t multiprocessors = 0;
  int32_t runtime_version = 0;  ///< of the CUDA runtime in this program: 13000 is 13.0
  int32_t driver_version = 0;   ///< the newest CUDA that the driver runs; 0: no driver
  int64_t total_bytes = 0;
  std::string pci_bus_id;  ///< "00000000:18:00.0": the name under which NVML knows it
};

/// Whether the engine can run on it. ERRORS: kUnavailable: the driver is older than the runtime, or
/// the compute capability is below 8.0.
Status check_facts(const DeviceFacts& facts);
/// Only the driver's part of it.
Status check_driver(const DeviceFacts& facts);

/// One line for logs: "NVIDIA H100 80GB HBM3 (GPU 0, sm_90, …), driver 580.65.06, …".
std::string describe_device(const DeviceFacts& facts, const Result<GpuFacts>& gpu);

struct MemoryInfo {
  int64_t free_bytes = 0;
  int64_t total_bytes = 0;
};

/// Adds kernels to the stream it is given. May run at once, later, or (in a graph) again and again:
/// what it captures by value are addresses on the device and sizes.
using Work = std::function<Status(Stream stream)>;

class Device {
 public:
  virtual ~Device() = default;
  virtual const DeviceFacts& facts() const = 0;
  virtual Result<MemoryInfo> memory() = 0;

  /// Memory of the device, not initialised, aligned to 256 bytes. ERRORS: kUnavailable.
  virtual Result<void*> allocate(int64_t bytes) = 0;
  virtual void release(void* memory) = 0;
  /// Memory of the host that the device copies from and to without stopping it.
  virtual Result<void*> allocate_pinned(int64_t bytes) = 0;
  virtual void release_pinned(void* memory) = 0;

  // Everything below joins one queue and is done in its order.

  /// `from` and `to` on the host are pinned, and must stay as they are until an event later in the
  /// queue has passed.
  virtual Status copy_in(void* to, const void* from, int64_t bytes) = 0;
  virtual Status copy_out(void* to, const void* from, int64_t bytes) = 0;
  virtual Status fill_zero(void* memory, int64_t bytes) = 0;
  virtual Status enqueue(const Work& work) = 0;

  /// Marks the end of the queue as event `event` in [0, kEvents).
  static constexpr int32_t kEvents = 4;
  virtual Status record(int32_t event) = 0;
  /// Waits until the device has come as far as record(event) last marked.
  virtual Status synchronize(int32_t event) = 0;

  /// What `work` enqueues becomes a graph instead of being done. REQUIRES: no copies of the host's
  /// memory within. Graphs live as long as the device.
  virtual Result<int32_t> capture(const std::function<Status()>& work) = 0;
  virtual Status launch_graph(int32_t graph) = 0;
};

}  // namespace touchstone::backend::cuda
