// A library with NVML's functions and one device in it: where no driver is, nothing else has them.
#include <cstring>

namespace {

int kDevice = 0;

}  // namespace

extern "C" {
int nvmlInit_v2() { return 0; }
int nvmlShutdown() { return 0; }
int nvmlSystemGetDriverVersion(char* version, unsigned int length) {
  std::strncpy(version, "580.65.06", length);
  return 0;
}
int nvmlDeviceGetCount_v2(unsigned int* count) {
  *count = 1;
  return 0;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned int, void** device) {
  *device = &kDevice;
  return 0;
}
int nvmlDeviceGetName(void*, char* name, unsigned int length) {
  std::strncpy(name, "NVIDIA H100 80GB HBM3", length);
  return 0;
}
int nvmlDeviceGetHandleByPciBusId_v2(const char* bus, void** device) {
  *device = &kDevice;
  return std::strcmp(bus, "00000000:18:00.0") == 0 ? 0 : 6;  // not found
}
int nvmlDeviceGetClockInfo(void*, int type, unsigned int* mhz) {
  *mhz = type == 1 ? 1755 : 2619;
  return 0;
}
int nvmlDeviceGetMaxClockInfo(void*, int, unsigned int* mhz) {
  *mhz = 1980;
  return 0;
}
int nvmlDeviceGetPowerManagementLimit(void*, unsigned int* milliwatts) {
  *milliwatts = 700'000;
  return 0;
}
int nvmlDeviceGetTemperature(void*, int, unsigned int* degrees) {
  *degrees = 41;
  return 0;
}
int nvmlDeviceGetCurrentClocksThrottleReasons(void*, unsigned long long* reasons) {  // NOLINT
  *reasons = 0x1 | 0x4 | 0x20;  // idle is no reason to complain
  return 0;
}
}
