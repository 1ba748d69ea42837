// vllm:lora_requests_info: at which time which adapters were last all that had requests. vLLM 0.32
// tells those that run from those that wait by two labels and fills both with all of them; so does
// this. Its number of series is bounded, vLLM's is not. Thread-compatible.
// Source: vLLM 0.32 v1/metrics/{loggers,stats}.py, recorded page.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace touchstone::telemetry {

class AdapterInfo final {
 public:
  explicit AdapterInfo(int64_t max_loras) : max_loras_(max_loras) {}
  /// `names`: the adapters that have requests now.
  void on_step(const std::vector<std::string>& names, int64_t now_unix_ns);
  void render(std::string& page) const;

 private:
  int64_t max_loras_;
  std::map<std::string, double> seen_;  // Unix seconds by names, separated by commas
};

}  // namespace touchstone::telemetry
