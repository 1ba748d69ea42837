#include "base/sha256.h"

#include <gtest/gtest.h>

#include "base/files.h"
#include "base/ids.h"

namespace touchstone {
namespace {

TEST(Sha256, MatchesTheStandardsExamples) {  // FIPS 180-4, appendix B
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(Sha256, PiecesGiveTheDigestOfTheWhole) {
  Sha256 hasher;
  hasher.update("a");
  hasher.update("");
  hasher.update("bc");
  const Sha256Digest digest = hasher.finish();
  EXPECT_EQ(to_hex(digest.data(), digest.size()), sha256_hex("abc"));
  hasher.update("x");
  EXPECT_EQ(hasher.finish(), sha256("x")) << "finish() begins anew";
}

TEST(Sha256, OfAFileIsThatOfItsBytes) {
  const auto folder = TemporaryDirectory::make("touchstone-sha256-test");
  ASSERT_TRUE(folder.has_value());
  const std::string path = folder->path() + "/file";
  const std::string content(3'000'000, 'x');
  ASSERT_TRUE(write_file_atomic(path, content));
  EXPECT_EQ(*file_sha256_hex(path), sha256_hex(content));
  EXPECT_EQ(file_sha256_hex(path + "2").error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace touchstone
