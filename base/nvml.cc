#include "base/nvml.h"

#include <dlfcn.h>

#include <array>
#include <functional>
#include <memory>

namespace touchstone {
namespace {

// Of nvml.h, which comes with no package of the distribution.
using NvmlDevice = void*;
constexpr int kSuccess = 0;
constexpr int kClockSm = 1;
constexpr int kClockMemory = 2;
constexpr int kTemperatureGpu = 0;
constexpr size_t kTextSize = 96;

struct ThrottleReason {
  uint64_t bit;
  const char* name;
};
constexpr ThrottleReason kThrottleReasons[] = {
    {0x02, "application clocks"}, {0x04, "software power cap"},    {0x08, "hardware slowdown"},
    {0x10, "sync boost"},         {0x20, "software thermal"},      {0x40, "hardware thermal"},
    {0x80, "power brake"},        {0x100, "display clock setting"}};

class Library final {
 public:
  static Result<Library> open(const std::string& path) {
    void* handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) {
      const char* reason = ::dlerror();
      return unavailable("NVML: " + std::string(reason != nullptr ? reason : path.c_str()));
    }
    return Library(handle);
  }

  /// An older library that lacks the function is an error by name, like one that it returns.
  template <typename... Args>
  Status call(const char* name, Args... args) const {
    void* symbol = ::dlsym(handle_.get(), name);
    if (symbol == nullptr) return unavailable(std::string("NVML: no function ") + name);
    const int code = reinterpret_cast<int (*)(Args...)>(symbol)(args...);
    if (code == kSuccess) return {};
    return unavailable(std::string("NVML: ") + name + ": code " + std::to_string(code));
  }

 private:
  struct Close {
    void operator()(void* handle) const { ::dlclose(handle); }
  };
  explicit Library(void* handle) : handle_(handle) {}
  std::unique_ptr<void, Close> handle_;
};

GpuFacts read_device(const Library& nvml, NvmlDevice device) {
  GpuFacts facts;
  std::array<char, kTextSize> text = {};
  const unsigned int size = kTextSize;
  if (nvml.call("nvmlDeviceGetName", device, text.data(), size)) facts.name = text.data();
  if (nvml.call("nvmlSystemGetDriverVersion", text.data(), size)) facts.driver = text.data();
  unsigned int value = 0;
  const auto take = [&](const Status& known) {
    return known ? static_cast<int32_t>(value) : int32_t{0};
  };
  facts.sm_clock_mhz = take(nvml.call("nvmlDeviceGetClockInfo", device, kClockSm, &value));
  facts.max_sm_clock_mhz = take(nvml.call("nvmlDeviceGetMaxClockInfo", device, kClockSm, &value));
  facts.memory_clock_mhz = take(nvml.call("nvmlDeviceGetClockInfo", device, kClockMemory, &value));
  facts.power_limit_w = take(nvml.call("nvmlDeviceGetPowerManagementLimit", device, &value)) / 1000;
  facts.temperature_c =
      take(nvml.call("nvmlDeviceGetTemperature", device, kTemperatureGpu, &value));
  unsigned long long reasons = 0;  // NOLINT: the library's type
  if (nvml.call("nvmlDeviceGetCurrentClocksThrottleReasons", device, &reasons)) {
    for (const ThrottleReason& reason : kThrottleReasons) {
      if ((reasons & reason.bit) != 0) facts.throttled.emplace_back(reason.name);
    }
  }
  return facts;
}

/// Runs `body` between the library's start and end.
Status with_nvml(const std::string& path, const std::function<Status(const Library&)>& body) {
  auto nvml = Library::open(path);
  if (!nvml) return std::move(nvml).error();
  RETURN_IF_ERROR(nvml->call("nvmlInit_v2"));
  const Status status = body(*nvml);
  const Status ended = nvml->call("nvmlShutdown");
  return status ? ended : status;
}

}  // namespace

Result<std::vector<GpuFacts>> read_gpus(const std::string& library) {
  std::vector<GpuFacts> gpus;
  const Status status = with_nvml(library, [&](const Library& nvml) -> Status {
    unsigned int count = 0;
    RETURN_IF_ERROR(nvml.call("nvmlDeviceGetCount_v2", &count));
    for (unsigned int i = 0; i < count; ++i) {
      NvmlDevice device = nullptr;
      RETURN_IF_ERROR(nvml.call("nvmlDeviceGetHandleByIndex_v2", i, &device));
      gpus.push_back(read_device(nvml, device));
    }
    return {};
  });
  RETURN_IF_ERROR(status);
  return gpus;
}

Result<GpuFacts> read_gpu(const std::string& pci_bus_id, const std::string& library) {
  GpuFacts facts;
  const Status status = with_nvml(library, [&](const Library& nvml) -> Status {
    NvmlDevice device = nullptr;
    RETURN_IF_ERROR(nvml.call("nvmlDeviceGetHandleByPciBusId_v2", pci_bus_id.c_str(), &device));
    facts = read_device(nvml, device);
    return {};
  });
  RETURN_IF_ERROR(status);
  return facts;
}

}  // namespace touchstone
