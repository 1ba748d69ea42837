#include "reference_engine/backend/cuda/runtime_device.h"

#include <cuda_runtime_api.h>

#include <array>
#include <vector>

#include "base/check.h"

namespace touchstone::backend::cuda {
namespace {

Error cuda_error(const char* call, cudaError_t code) {
  return unavailable(std::string("CUDA: ") + call + ": " + cudaGetErrorString(code) + " (" +
                     cudaGetErrorName(code) + ")");
}

/// Runs `call` and returns its error with the text of the call.
#define RETURN_IF_CUDA_FAILS(call)                                               \
  do {                                                                           \
    const cudaError_t return_if_code = (call);                                   \
    if (return_if_code != cudaSuccess) return cuda_error(#call, return_if_code); \
  } while (false)

class RuntimeDevice final : public Device {
 public:
  explicit RuntimeDevice(DeviceFacts facts) : facts_(std::move(facts)) {}
  ~RuntimeDevice() override;
  Status open();

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

 private:
  DeviceFacts facts_;
  cudaStream_t stream_ = nullptr;
  std::array<cudaEvent_t, kEvents> events_ = {};
  std::vector<cudaGraphExec_t> graphs_;
};

// A failing release has nobody to tell: the device is given up as a whole, or it is lost already.
RuntimeDevice::~RuntimeDevice() {
  for (cudaGraphExec_t graph : graphs_) (void)cudaGraphExecDestroy(graph);
  for (cudaEvent_t event : events_) {
    if (event != nullptr) (void)cudaEventDestroy(event);
  }
  if (stream_ != nullptr) (void)cudaStreamDestroy(stream_);
}

Status RuntimeDevice::open() {
  RETURN_IF_CUDA_FAILS(cudaSetDevice(facts_.index));
  RETURN_IF_CUDA_FAILS(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
  for (cudaEvent_t& event : events_) {
    RETURN_IF_CUDA_FAILS(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
  }
  return {};
}

Result<MemoryInfo> RuntimeDevice::memory() {
  size_t free = 0;
  size_t total = 0;
  RETURN_IF_CUDA_FAILS(cudaMemGetInfo(&free, &total));
  return MemoryInfo{.free_bytes = static_cast<int64_t>(free),
                    .total_bytes = static_cast<int64_t>(total)};
}

Result<void*> RuntimeDevice::allocate(int64_t bytes) {
  void* memory = nullptr;
  const cudaError_t code = cudaMalloc(&memory, static_cast<size_t>(bytes));
  if (code == cudaErrorMemoryAllocation) (void)cudaGetLastError();  // not for good
  if (code != cudaSuccess) return cuda_error("cudaMalloc", code);
  return memory;
}

void RuntimeDevice::release(void* memory) { (void)cudaFree(memory); }

Result<void*> RuntimeDevice::allocate_pinned(int64_t bytes) {
  void* memory = nullptr;
  RETURN_IF_CUDA_FAILS(cudaMallocHost(&memory, static_cast<size_t>(bytes)));
  return memory;
}

void RuntimeDevice::release_pinned(void* memory) { (void)cudaFreeHost(memory); }

Status RuntimeDevice::copy_in(void* to, const void* from, int64_t bytes) {
  RETURN_IF_CUDA_FAILS(
      cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), cudaMemcpyHostToDevice, stream_));
  return {};
}

Status RuntimeDevice::copy_out(void* to, const void* from, int64_t bytes) {
  RETURN_IF_CUDA_FAILS(
      cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), cudaMemcpyDeviceToHost, stream_));
  return {};
}

Status RuntimeDevice::fill_zero(void* memory, int64_t bytes) {
  RETURN_IF_CUDA_FAILS(cudaMemsetAsync(memory, 0, static_cast<size_t>(bytes), stream_));
  return {};
}

Status RuntimeDevice::enqueue(const Work& work) {
  RETURN_IF_ERROR(work(stream_));
  // What a launch refuses (no kernel of this architecture, too much shared memory).
  RETURN_IF_CUDA_FAILS(cudaGetLastError());
  return {};
}

Status RuntimeDevice::record(int32_t event) {
  RETURN_IF_CUDA_FAILS(cudaEventRecord(events_.at(static_cast<size_t>(event)), stream_));
  return {};
}

Status RuntimeDevice::synchronize(int32_t event) {
  RETURN_IF_CUDA_FAILS(cudaEventSynchronize(events_.at(static_cast<size_t>(event))));
  return {};
}

Result<int32_t> RuntimeDevice::capture(const std::function<Status()>& work) {
  RETURN_IF_CUDA_FAILS(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal));
  const Status done = work();
  cudaGraph_t graph = nullptr;
  const cudaError_t ended = cudaStreamEndCapture(stream_, &graph);
  RETURN_IF_ERROR(done);
  if (ended != cudaSuccess) return cuda_error("cudaStreamEndCapture", ended);
  cudaGraphExec_t executable = nullptr;
  const cudaError_t made = cudaGraphInstantiate(&executable, graph, 0);
  (void)cudaGraphDestroy(graph);
  if (made != cudaSuccess) return cuda_error("cudaGraphInstantiate", made);
  graphs_.push_back(executable);
  return static_cast<int32_t>(graphs_.size()) - 1;
}

Status RuntimeDevice::launch_graph(int32_t graph) {
  RETURN_IF_CUDA_FAILS(cudaGraphLaunch(graphs_.at(static_cast<size_t>(graph)), stream_));
  return {};
}

}  // namespace

Result<DeviceFacts> query_device(int32_t index) {
  DeviceFacts facts;
  facts.index = index;
  RETURN_IF_CUDA_FAILS(cudaRuntimeGetVersion(&facts.runtime_version));
  // 0 where there is no driver.
  RETURN_IF_CUDA_FAILS(cudaDriverGetVersion(&facts.driver_version));
  if (!check_driver(facts)) return facts;  // no other call would succeed
  int count = 0;
  RETURN_IF_CUDA_FAILS(cudaGetDeviceCount(&count));
  if (index >= count) {
    return unavailable("CUDA device " + std::to_string(index) + ": there are " +
                           std::to_string(count) + " devices",
                       "nvidia-smi lists them; CUDA_VISIBLE_DEVICES hides some");
  }
  cudaDeviceProp properties = {};
  RETURN_IF_CUDA_FAILS(cudaGetDeviceProperties(&properties, index));
  facts.name = properties.name;
  facts.compute_major = properties.major;
  facts.compute_minor = properties.minor;
  facts.multiprocessors = properties.multiProcessorCount;
  facts.total_bytes = static_cast<int64_t>(properties.totalGlobalMem);
  std::array<char, 32> bus = {};
  RETURN_IF_CUDA_FAILS(cudaDeviceGetPCIBusId(bus.data(), static_cast<int>(bus.size()), index));
  facts.pci_bus_id = bus.data();
  return facts;
}

Result<std::unique_ptr<Device>> open_device(int32_t index) {
  auto facts = query_device(index);
  if (!facts) return std::move(facts).error();
  auto device = std::make_unique<RuntimeDevice>(*std::move(facts));
  RETURN_IF_ERROR(device->open());
  return std::unique_ptr<Device>(std::move(device));
}

}  // namespace touchstone::backend::cuda
