#include "base/memory.h"

#include <gtest/gtest.h>

#include "base/files.h"

namespace touchstone {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;

class Memory : public testing::Test {
 protected:
  Memory() : folder_(std::move(TemporaryDirectory::make("memory")).value()) {
    write("meminfo", "MemTotal:       8388608 kB\nMemFree: 1 kB\nMemAvailable:   4194304 kB\n");
    write("cgroup", "0::/kube/pod\n");
  }

  void write(const std::string& name, const std::string& text) {
    const std::string path = folder_.path() + "/" + name;
    ASSERT_TRUE(make_directories(path.substr(0, path.find_last_of('/'))));
    ASSERT_TRUE(write_file_atomic(path, text));
  }

  MemoryLimits read() {
    return read_memory_limits({.meminfo = folder_.path() + "/meminfo",
                               .cgroup = folder_.path() + "/cgroup",
                               .cgroup_root = folder_.path() + "/fs"});
  }

  TemporaryDirectory folder_;
};

TEST_F(Memory, WithoutALimitItIsTheMachines) {
  EXPECT_EQ(read().total_bytes, 8192 * kMiB);
  EXPECT_EQ(read().available_bytes, 4096 * kMiB);
  write("fs/kube/pod/memory.max", "max\n");
  write("fs/kube/pod/memory.current", "1000\n");
  EXPECT_EQ(read().total_bytes, 8192 * kMiB);
  EXPECT_EQ(read().available_bytes, 4096 * kMiB);
}

TEST_F(Memory, AGroupsLimitCountsAndItsCachedFilesAreFree) {
  write("fs/kube/pod/memory.max", std::to_string(512 * kMiB) + "\n");
  write("fs/kube/pod/memory.current", std::to_string(200 * kMiB) + "\n");
  write("fs/kube/pod/memory.stat", "anon 1\nactive_file " + std::to_string(30 * kMiB) +
                                       "\ninactive_file " + std::to_string(50 * kMiB) + "\n");
  EXPECT_EQ(read().total_bytes, 512 * kMiB);
  EXPECT_EQ(read().available_bytes, 392 * kMiB);
}

TEST_F(Memory, TheTightestGroupAboveTheProcessDecides) {
  write("fs/kube/pod/memory.max", std::to_string(512 * kMiB) + "\n");
  write("fs/kube/memory.max", std::to_string(256 * kMiB) + "\n");
  write("fs/kube/memory.current", std::to_string(256 * kMiB) + "\n");
  EXPECT_EQ(read().total_bytes, 256 * kMiB);
  EXPECT_EQ(read().available_bytes, 0);
}

TEST_F(Memory, InsideAContainerTheMountedRootIsTheGroup) {
  write("fs/memory.max", std::to_string(128 * kMiB) + "\n");  // /kube/pod is not mounted
  EXPECT_EQ(read().total_bytes, 128 * kMiB);
}

TEST_F(Memory, VersionOneHasItsOwnFiles) {
  write("cgroup", "12:cpu,cpuacct:/a\n4:memory:/docker/x\n");
  write("fs/memory/docker/x/memory.limit_in_bytes", std::to_string(64 * kMiB) + "\n");
  write("fs/memory/docker/x/memory.usage_in_bytes", std::to_string(16 * kMiB) + "\n");
  write("fs/memory/docker/x/memory.stat", "total_inactive_file " + std::to_string(4 * kMiB) + "\n");
  write("fs/memory/memory.limit_in_bytes", "9223372036854771712\n");  // none
  EXPECT_EQ(read().total_bytes, 64 * kMiB);
  EXPECT_EQ(read().available_bytes, 52 * kMiB);
}

TEST_F(Memory, AGroupWithALargerLimitMayStillBeFull) {
  write("fs/kube/pod/memory.max", std::to_string(512 * kMiB) + "\n");
  write("fs/kube/memory.max", std::to_string(600 * kMiB) + "\n");
  write("fs/kube/memory.current", std::to_string(590 * kMiB) + "\n");
  EXPECT_EQ(read().total_bytes, 512 * kMiB);
  EXPECT_EQ(read().available_bytes, 10 * kMiB);
}

}  // namespace
}  // namespace touchstone
