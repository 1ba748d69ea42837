// What does not fit in memory lies in a file without a name; where there is none to be had, or no
// room, the error says which folder.
#include "base/spill_file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "base/files.h"

namespace touchstone {
namespace {

class SpillFileTest : public testing::Test {
 protected:
  SpillFileTest() : directory_(*TemporaryDirectory::make("spill-file-test")) {
    if (const char* before = std::getenv("TMPDIR")) before_ = before;
    setenv("TMPDIR", directory_.path().c_str(), 1);
  }
  ~SpillFileTest() override {
    before_.empty() ? unsetenv("TMPDIR") : setenv("TMPDIR", before_.c_str(), 1);
  }
  const std::string& folder() const { return directory_.path(); }

 private:
  TemporaryDirectory directory_;
  std::string before_;
};

TEST_F(SpillFileTest, GivesBackWhatWasAppendedAndHasNoName) {
  auto file = SpillFile::make();
  ASSERT_TRUE(file.has_value()) << file.error().message;
  std::string all;
  for (int i = 0; i < 100'000; ++i) {
    const std::string piece = std::to_string(i) + ",";
    ASSERT_TRUE((*file)->append(piece).has_value());
    all += piece;
  }
  ASSERT_EQ((*file)->size(), all.size());
  for (const size_t offset : {size_t{0}, size_t{12'345}, all.size() - 1000}) {
    std::string read(1000, '\0');
    ASSERT_TRUE((*file)->read(offset, read).has_value());
    EXPECT_EQ(read, all.substr(offset, 1000)) << offset;
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder()));
}

TEST_F(SpillFileTest, WhatIsDiscardedTakesNothingFromTheRest) {
  auto file = SpillFile::make();
  ASSERT_TRUE(file.has_value());
  ASSERT_TRUE((*file)->append(std::string(1 << 20, 'a') + std::string(1 << 20, 'b')).has_value());
  std::string read(1, '\0');
  ASSERT_TRUE((*file)->read(0, read).has_value());
  (*file)->discard(0, 1 << 20);
  ASSERT_TRUE((*file)->read(1 << 20, read).has_value());
  EXPECT_EQ(read, "b");
  EXPECT_EQ((*file)->size(), uint64_t{2} << 20);
}

TEST_F(SpillFileTest, AFolderThatIsNotThereIsAnError) {
  setenv("TMPDIR", (folder() + "/none").c_str(), 1);
  const auto file = SpillFile::make();
  ASSERT_FALSE(file.has_value());
  EXPECT_EQ(file.error().code, ErrorCode::kIo);
  EXPECT_NE(file.error().hint.find("TMPDIR"), std::string::npos) << file.error().message;
}

TEST_F(SpillFileTest, NoRoomIsAnErrorThatNamesTheFolder) {
  auto file = SpillFile::make();
  ASSERT_TRUE(file.has_value());
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit little{.rlim_cur = 4096, .rlim_max = before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &little);
  Status status;
  for (int i = 0; i < 100 && status; ++i) status = (*file)->append(std::string(100'000, 'x'));
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code, ErrorCode::kIo);
  EXPECT_NE(status.error().message.find(folder() + ": cannot write"), std::string::npos)
      << status.error().message;
}

}  // namespace
}  // namespace touchstone
