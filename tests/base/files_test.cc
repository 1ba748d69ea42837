#include "base/files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>
#include <thread>

#include "base/line_reader.h"

namespace touchstone {
namespace {

class Files : public ::testing::Test {
 protected:
  Files() : folder_(*TemporaryDirectory::make("touchstone-files-test")) {}
  std::string path(const std::string& name) const { return folder_.path() + "/" + name; }
  TemporaryDirectory folder_;
};

TEST_F(Files, WhatIsWrittenIsReadBack) {
  const std::string content("a\0b\r\nc", 6);
  ASSERT_TRUE(write_file_atomic(path("x"), content));
  EXPECT_EQ(*read_file(path("x")), content);
  EXPECT_FALSE(std::filesystem::exists(path("x.tmp")));
}

TEST_F(Files, AMissingFileIsNotFoundAndNamed) {
  const auto missing = read_file(path("nope"));
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
  EXPECT_NE(missing.error().message.find("nope: cannot open"), std::string::npos);
}

TEST_F(Files, AFullDiskIsAnErrorWithAHint) {
  // /dev/full refuses every write with ENOSPC.
  auto writer = LineWriter::open("/dev/full");
  ASSERT_TRUE(writer);
  ASSERT_TRUE((*writer)->write("line"));
  const Status flushed = (*writer)->flush();
  ASSERT_FALSE(flushed);
  EXPECT_EQ(flushed.error().code, ErrorCode::kIo);
  EXPECT_NE(flushed.error().message.find("/dev/full: cannot write"), std::string::npos);
  EXPECT_NE(flushed.error().hint.find("space"), std::string::npos);
}

TEST_F(Files, ADeviceIsWrittenToAndALinkFollowed) {
  const std::string pipe = path("pipe");
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  std::string got;
  std::thread reader([&] { got = *read_file(pipe); });
  EXPECT_TRUE(write_file_atomic(pipe, "through"));
  reader.join();
  EXPECT_EQ(got, "through");
  EXPECT_TRUE(std::filesystem::is_fifo(pipe));

  ASSERT_TRUE(write_file_atomic(path("target"), "old"));
  std::filesystem::create_symlink(path("target"), path("link"));
  EXPECT_TRUE(write_file_atomic(path("link"), "new"));
  EXPECT_TRUE(std::filesystem::is_symlink(path("link")));
  EXPECT_EQ(*read_file(path("target")), "new");
  const Status full = write_file_atomic("/dev/full", "x");
  ASSERT_FALSE(full);
  EXPECT_NE(full.error().message.find("No space left"), std::string::npos);
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/full"));
}

TEST_F(Files, ClosingSaysWhenLinesWereLost) {
  const auto writer = *LineWriter::open("/dev/full");
  ASSERT_TRUE(writer->write("one"));
  const Status closed = writer->close();
  ASSERT_FALSE(closed);
  EXPECT_EQ(closed.error().code, ErrorCode::kIo);

  const auto failed = *LineWriter::open("/dev/full");
  ASSERT_TRUE(failed->write("one"));
  ASSERT_FALSE(failed->flush());
  EXPECT_FALSE(failed->close()) << "nothing is left to write, but a line is missing";
}

TEST_F(Files, AWriterThatIsNotClosedPromisesNothing) {
  { ASSERT_TRUE((*LineWriter::open(path("log")))->write("one")); }
  EXPECT_EQ(*read_file(path("log")), "");
}

TEST_F(Files, AFailedReplacementLeavesTheOldFile) {
  ASSERT_TRUE(write_file_atomic(path("x"), "old"));
  std::filesystem::create_directory(path("x.tmp"));  // the temporary cannot be made
  EXPECT_FALSE(write_file_atomic(path("x"), "new"));
  EXPECT_EQ(*read_file(path("x")), "old");
}

TEST_F(Files, LinesAreNumberedFromOneAndTheLastNeedsNoEnd) {
  ASSERT_TRUE(write_file_atomic(path("x"), "one\r\n\nthree"));
  std::string seen;
  ASSERT_TRUE(for_each_line(path("x"), [&](int64_t number, std::string_view line) -> Status {
    seen += std::to_string(number) + "=" + std::string(line) + ";";
    return {};
  }));
  EXPECT_EQ(seen, "1=one;2=;3=three;");
}

TEST_F(Files, LineReaderGivesOneLineAfterTheOther) {
  ASSERT_TRUE(write_file_atomic(path("x"), "one\r\n\nthree"));
  const auto reader = *LineReader::open(path("x"));
  EXPECT_EQ(*reader->next(), "one");
  EXPECT_EQ(*reader->next(), "");
  EXPECT_EQ(*reader->next(), "three");
  EXPECT_EQ(reader->number(), 3);
  EXPECT_EQ(*reader->next(), std::nullopt);
  EXPECT_EQ(*reader->next(), std::nullopt);
  EXPECT_EQ(LineReader::open(path("none")).error().code, ErrorCode::kNotFound);
}

TEST_F(Files, LineWriterKeepsOrderOverItsBuffer) {
  {
    auto writer = *LineWriter::open(path("log"));
    for (int i = 0; i < 20'000; ++i) ASSERT_TRUE(writer->write(std::to_string(i)));
    ASSERT_TRUE(writer->close());
  }
  int64_t expected = 0;
  ASSERT_TRUE(for_each_line(path("log"), [&](int64_t, std::string_view line) -> Status {
    EXPECT_EQ(line, std::to_string(expected++));
    return {};
  }));
  EXPECT_EQ(expected, 20'000);
}

TEST(TemporaryDirectory, GoesWithItsContentUnlessReleased) {
  std::string gone;
  std::string kept;
  {
    auto first = *TemporaryDirectory::make("touchstone-files-test");
    auto second = *TemporaryDirectory::make("touchstone-files-test");
    gone = first.path();
    ASSERT_TRUE(write_file_atomic(gone + "/file", "x"));
    kept = second.release();
  }
  EXPECT_FALSE(std::filesystem::exists(gone));
  EXPECT_TRUE(std::filesystem::exists(kept));
  std::filesystem::remove_all(kept);
}

}  // namespace
}  // namespace touchstone
