#include "harness/backends/trace_windows.h"

#include "base/text.h"
#include "base/timestamp.h"

namespace touchstone::harness {

Status for_each_window(const TimeWindow& window, int64_t limit, int64_t least_ns,
                       const std::function<Result<int64_t>(const TimeWindow&)>& read,
                       std::vector<std::string>& problems) {
  std::vector<TimeWindow> left = {window};
  while (!left.empty()) {
    const TimeWindow now = left.back();
    left.pop_back();
    const Result<int64_t> found = read(now);
    if (!found) return found.error();
    if (*found < limit) continue;
    const int64_t length = now.end_unix_ns - now.start_unix_ns;
    const int64_t half = length / 2 / least_ns * least_ns;
    if (half == 0) {
      problems.push_back("from " + format_utc_ns(now.start_unix_ns) + " to " +
                         format_utc_ns(now.end_unix_ns) + " there are " + format_count(limit) +
                         " traces or more, and only so many were given");
      continue;
    }
    left.push_back({now.start_unix_ns + half, now.end_unix_ns});
    left.push_back({now.start_unix_ns, now.start_unix_ns + half});
  }
  return {};
}

}  // namespace touchstone::harness
