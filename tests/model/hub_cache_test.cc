// Models of the hub by name: where they are looked for, and what is said when they are not there.
#include "reference_engine/model/hub_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/files.h"

namespace touchstone::model {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class HubCache : public ::testing::Test {
 protected:
  void SetUp() override {
    auto made = TemporaryDirectory::make("touchstone-hub");
    ASSERT_TRUE(made);
    folder_ = std::make_unique<TemporaryDirectory>(*std::move(made));
    repository_ = folder_->path() + "/hub/models--facebook--opt-125m";
    std::filesystem::create_directories(repository_ + "/snapshots/abc");
    std::filesystem::create_directories(repository_ + "/refs");
    ASSERT_TRUE(write_file_atomic(repository_ + "/refs/main", "abc\n"));
    ASSERT_TRUE(write_file_atomic(repository_ + "/snapshots/abc/config.json", "{}"));
  }
  Result<std::string> find(const std::string& name, const Environment& environment,
                           const std::string& revision = "main", const std::string& cache = {}) {
    return find_model(
        {.name = name, .revision = revision, .download_dir = cache, .environment = environment});
  }

  std::unique_ptr<TemporaryDirectory> folder_;
  std::string repository_;
};

TEST_F(HubCache, EveryPlaceIsLookedAt) {
  const std::string snapshot = repository_ + "/snapshots/abc";
  const std::string home = folder_->path();
  EXPECT_EQ(find("facebook/opt-125m", {{"HF_HOME", home}}).value(), snapshot);
  EXPECT_EQ(find("facebook/opt-125m", {{"HF_HUB_CACHE", home + "/hub"}}).value(), snapshot);
  EXPECT_EQ(find("facebook/opt-125m", {}, "main", home + "/hub").value(), snapshot);
  EXPECT_EQ(find("facebook/opt-125m", {{"HF_HOME", home}}, "abc").value(), snapshot);
  std::filesystem::create_directories(home + "/.cache/huggingface");
  std::filesystem::create_symlink(home + "/hub", home + "/.cache/huggingface/hub");
  EXPECT_TRUE(find("facebook/opt-125m", {{"HOME", home}}));
  EXPECT_TRUE(find("facebook/opt-125m", {{"XDG_CACHE_HOME", home + "/.cache"}}));
  EXPECT_EQ(find(home, {}).value(), home) << "a folder is itself";
}

TEST_F(HubCache, WhatIsNotThereIsSaidWithThePlaceAndTheWayToGetIt) {
  const Environment environment = {{"HF_HOME", folder_->path()}};
  const auto absent = find("facebook/opt-350m", environment);
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(absent.error().message,
              HasSubstr("not in the hub's cache " + folder_->path() + "/hub"));
  EXPECT_THAT(absent.error().hint, HasSubstr("hf download facebook/opt-350m"));
  const auto revision = find("facebook/opt-125m", environment, "v2");
  ASSERT_FALSE(revision);
  EXPECT_THAT(revision.error().message, HasSubstr("no revision \"v2\""));
  EXPECT_THAT(revision.error().hint, HasSubstr("--revision v2"));
  EXPECT_THAT(find("/no/such/folder", environment).error().message,
              HasSubstr("no such model folder"));
  std::filesystem::remove(repository_ + "/snapshots/abc/config.json");
  EXPECT_THAT(find("facebook/opt-125m", environment).error().message,
              HasSubstr("has no config.json"));
}

}  // namespace
}  // namespace touchstone::model
