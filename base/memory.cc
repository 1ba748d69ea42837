#include "base/memory.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <string_view>
#include <vector>

#include "base/files.h"
#include "base/text.h"

namespace touchstone {
namespace {

constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max();

/// The number on the line that starts with `key`, or on the only line with an empty key. Nothing
/// when there is none ("max" is none).
std::optional<int64_t> read_number(const std::string& path, std::string_view key) {
  std::optional<int64_t> number;
  (void)for_each_line(path, [&](int64_t, std::string_view line) {
    if (!number && line.substr(0, key.size()) == key) {
      const std::string_view text = trim(line.substr(key.size()));
      number = parse_int(text.substr(0, text.find(' ')));
    }
    return Status();
  });
  return number;
}

/// One control group's limit and what is used of it.
struct Group {
  std::optional<int64_t> limit;
  int64_t used = 0;
};

Group read_group(const std::string& folder, bool version_2) {
  Group group;
  group.limit = read_number(folder + (version_2 ? "/memory.max" : "/memory.limit_in_bytes"), "");
  const auto used =
      read_number(folder + (version_2 ? "/memory.current" : "/memory.usage_in_bytes"), "");
  const char* prefix = version_2 ? "" : "total_";
  int64_t cached = 0;
  for (const char* key : {"active_file ", "inactive_file "}) {
    cached += read_number(folder + "/memory.stat", std::string(prefix) + key).value_or(0);
  }
  group.used = std::max<int64_t>(0, used.value_or(0) - cached);
  return group;
}

/// The folders of the groups that hold this process, innermost first. Inside a container the path
/// may be the host's, which is not mounted there; the root then stands for the container.
std::vector<std::string> group_folders(const std::string& root, std::string path) {
  std::vector<std::string> folders;
  while (path.size() > 1) {
    folders.push_back(root + path);
    path.resize(path.find_last_of('/'));
  }
  folders.push_back(root);
  return folders;
}

}  // namespace

MemoryLimits read_memory_limits(const MemoryFiles& files) {
  const auto kibibytes = [&](const char* key) {
    const auto number = read_number(files.meminfo, key);
    return number ? *number * 1024 : kUnlimited;
  };
  MemoryLimits limits{.total_bytes = kibibytes("MemTotal:"),
                      .available_bytes = kibibytes("MemAvailable:")};
  const auto apply = [&](const std::string& root, const std::string& path, bool version_2) {
    for (const std::string& folder : group_folders(root, path)) {
      const Group group = read_group(folder, version_2);
      if (!group.limit) continue;
      limits.total_bytes = std::min(limits.total_bytes, *group.limit);
      limits.available_bytes =
          std::min(limits.available_bytes, std::max<int64_t>(0, *group.limit - group.used));
    }
  };
  (void)for_each_line(files.cgroup, [&](int64_t, std::string_view line) {
    // "hierarchy:controllers:path"; version 2 has no controllers.
    const std::vector<std::string> parts = split(std::string(line), ':');
    if (parts.size() < 3) return Status();
    const std::vector<std::string> controllers = split(parts[1], ',');
    const bool memory =
        std::find(controllers.begin(), controllers.end(), "memory") != controllers.end();
    if (parts[1].empty()) apply(files.cgroup_root, parts[2], true);
    if (memory) apply(files.cgroup_root + "/memory", parts[2], false);
    return Status();
  });
  return limits;
}

}  // namespace touchstone
