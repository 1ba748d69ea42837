#include "harness/process/disk.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/files.h"

namespace touchstone::harness {
namespace {

bool write_block(const std::string& path) {
  std::ofstream file(path, std::ios::app);
  file << std::string(4096, 'x') << std::flush;
  return file.good();
}

TEST(Disks, AreFullUntilTheyAreEmptied) {
  const auto folder = TemporaryDirectory::make("disk");
  ASSERT_TRUE(folder);
  const std::string place = folder->path() + "/own";
  {
    auto disk = Disk::make(place, int64_t{1} << 20);
    if (!disk && disk.error().code == ErrorCode::kUnsupported) {
      GTEST_SKIP() << "no full disk here: " << disk.error().message;
    }
    ASSERT_TRUE(disk) << disk.error().message;
    EXPECT_TRUE(write_block(place + "/before"));
    ASSERT_TRUE((*disk)->fill());
    EXPECT_FALSE(write_block(place + "/full"));
    EXPECT_TRUE(write_block(folder->path() + "/beside")) << "nobody else's disk is full";
    ASSERT_TRUE((*disk)->empty());
    EXPECT_TRUE(write_block(place + "/after"));
  }
  EXPECT_FALSE(read_file(place + "/before")) << "its files are gone with it";
}

}  // namespace
}  // namespace touchstone::harness
