// process_*: source prometheus_client/process_collector.py and proc(5).
#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <system_error>

#include "base/files.h"
#include "base/text.h"
#include "telemetry/prometheus/vllm_metrics.h"

namespace touchstone::telemetry {
namespace {

/// The number after `key ` at the start of a line of /proc/stat.
std::optional<int64_t> stat_number(const std::string& stat, std::string_view key) {
  for (const std::string& line : split(stat, '\n')) {
    if (line.starts_with(key)) return parse_int(trim(std::string_view(line).substr(key.size())));
  }
  return std::nullopt;
}

std::optional<int64_t> open_descriptors() {
  std::error_code error;
  std::filesystem::directory_iterator entry("/proc/self/fd", error);
  if (error) return std::nullopt;
  int64_t count = 0;
  for (; entry != std::filesystem::directory_iterator(); entry.increment(error)) ++count;
  return count;
}

}  // namespace

std::string render_process_metrics() {
  const Result<std::string> own = read_file("/proc/self/stat");
  const Result<std::string> machine = read_file("/proc/stat");
  if (!own || !machine) return {};
  // The second field is the program's name in parentheses and may hold spaces.
  const std::vector<std::string> fields =
      split(std::string_view(*own).substr(own->rfind(')') + 2), ' ');
  constexpr size_t kUserTime = 11, kSystemTime = 12, kStartTime = 19, kVirtual = 20, kPages = 21;
  if (fields.size() <= kPages) return {};
  const auto field = [&](size_t i) {
    return static_cast<double>(parse_int(fields[i]).value_or(0));
  };
  const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
  const auto boot = static_cast<double>(stat_number(*machine, "btime ").value_or(0));

  PrometheusRegistry registry;
  using Type = PrometheusRegistry::Type;
  const auto show = [&](Type type, const char* name, const char* help, double value) {
    registry.set(registry.add_series(registry.add_family({type, name, help, {}, false}), {}, 0),
                 value);
  };
  show(Type::kGauge, "process_virtual_memory_bytes", "Virtual memory size in bytes.",
       field(kVirtual));
  show(Type::kGauge, "process_resident_memory_bytes", "Resident memory size in bytes.",
       field(kPages) * static_cast<double>(::sysconf(_SC_PAGESIZE)));
  show(Type::kGauge, "process_start_time_seconds",
       "Start time of the process since unix epoch in seconds.", boot + field(kStartTime) / ticks);
  show(Type::kCounter, "process_cpu_seconds", "Total user and system CPU time spent in seconds.",
       (field(kUserTime) + field(kSystemTime)) / ticks);
  if (const auto open = open_descriptors()) {
    show(Type::kGauge, "process_open_fds", "Number of open file descriptors.",
         static_cast<double>(*open));
  }
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    show(Type::kGauge, "process_max_fds", "Maximum number of open file descriptors.",
         static_cast<double>(limit.rlim_cur));
  }
  std::string page;
  registry.render(registry.values(), page);
  return page;
}

}  // namespace touchstone::telemetry
