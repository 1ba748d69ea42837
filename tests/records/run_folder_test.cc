#include "records/run_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/files.h"

namespace touchstone::records {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Former = RunFolderWriter::Former;

class RunFolderTest : public ::testing::Test {
 protected:
  std::string path(const std::string& name = "run") const { return directory_.path() + "/" + name; }
  void write(const std::string& file, const std::string& text) const {
    ASSERT_TRUE(make_directories(fs::path(path(file)).parent_path().string()));
    ASSERT_TRUE(write_file_atomic(path(file), text));
  }
  /// A finished run with a ledger and a log.
  void finished_run() const {
    auto writer = RunFolderWriter::create(path(), Former::kReplace);
    ASSERT_TRUE(writer) << writer.error().message;
    write("run/requests.jsonl", "{\"i\":0}\n");
    write("run/logs/subject.log", "up\n");
    RunManifest& manifest = (*writer)->manifest();
    manifest.verb = "check";
    manifest.name = "tiny";
    manifest.profiles = {"vllm-v1"};
    manifest.seed = UINT64_MAX;
    manifest.versions = {{"touchstone", "0.1.0"}};
    manifest.digests = {{"suite", "ab"}};
    manifest.notes = {"a note"};
    manifest.faults = {{"kill:collector@3s", false, "too late"}};
    manifest.deaths = {{"collector", "signal 9 (Killed)", 7}};
    manifest.miss("metrics.txt", "it had none");
    manifest.collector_drained = false;
    manifest.samples = {{"r0", "prompt", "completion"}};
    ASSERT_TRUE((*writer)->finish());
  }
  TemporaryDirectory directory_ = TemporaryDirectory::make("touchstone-run-folder").value();
};

TEST_F(RunFolderTest, EveryFieldOfTheManifestComesBack) {
  finished_run();
  const auto run = open_run_folder(path());
  ASSERT_TRUE(run) << run.error().message;
  ASSERT_TRUE(run->manifest);
  const RunManifest& manifest = *run->manifest;
  EXPECT_EQ(manifest.schema, kRunSchemaVersion);
  EXPECT_EQ(manifest.verb, "check");
  EXPECT_EQ(manifest.name, "tiny");
  EXPECT_THAT(manifest.profiles, ElementsAre("vllm-v1"));
  EXPECT_EQ(manifest.seed, UINT64_MAX);
  EXPECT_TRUE(manifest.complete);
  EXPECT_EQ(manifest.versions.at("touchstone"), "0.1.0");
  EXPECT_EQ(manifest.digests.at("suite"), "ab");
  EXPECT_THAT(manifest.notes, ElementsAre("a note", "it had none"));
  ASSERT_EQ(manifest.missing.size(), 1u);
  EXPECT_EQ(manifest.missing[0].file, "metrics.txt");
  EXPECT_EQ(manifest.missing[0].reason, "it had none");
  ASSERT_EQ(manifest.faults.size(), 1u);
  EXPECT_FALSE(manifest.faults[0].applied);
  EXPECT_EQ(manifest.faults[0].problem, "too late");
  ASSERT_EQ(manifest.deaths.size(), 1u);
  EXPECT_EQ(manifest.deaths[0].at_ns, 7);
  EXPECT_EQ(manifest.collector_drained, false);
  EXPECT_EQ(manifest.samples.at(0).completion, "completion");
  ASSERT_EQ(manifest.files.size(), 2u);
  EXPECT_EQ(manifest.files[0].name, "logs/subject.log");
  EXPECT_EQ(manifest.files[1].name, "requests.jsonl");
  EXPECT_EQ(manifest.files[1].bytes, 8);
  EXPECT_THAT(*altered_files(*run), ElementsAre());
}

TEST_F(RunFolderTest, WhatWasAlteredRemovedOrAddedIsTold) {
  finished_run();
  write("run/requests.jsonl", "{\"i\":1}\n");
  write("run/spans.otlp.jsonl", "");
  fs::remove(path("run/logs/subject.log"));
  const auto altered = altered_files(*open_run_folder(path()));
  ASSERT_TRUE(altered);
  EXPECT_THAT(*altered, ElementsAre(HasSubstr("logs/subject.log: is gone"),
                                    HasSubstr("requests.jsonl: got 8 bytes with sha256"),
                                    HasSubstr("spans.otlp.jsonl: was added")));
}

TEST_F(RunFolderTest, AFolderThatIsWrittenIsTakenForASecondRunAndForReaders) {
  const auto first = RunFolderWriter::create(path(), Former::kReplace);
  ASSERT_TRUE(first);
  const auto second = RunFolderWriter::create(path(), Former::kReplace);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(second.error().message, HasSubstr("another run is being written"));
  const auto read = open_run_folder(path());
  ASSERT_FALSE(read);
  EXPECT_THAT(read.error().message, HasSubstr("another run is being written"));
}

TEST_F(RunFolderTest, AFormerRunMakesRoomOrIsRefused) {
  finished_run();
  const auto refused = RunFolderWriter::create(path(), Former::kRefuse);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("holds a run already"));
  EXPECT_TRUE(fs::exists(path("run/requests.jsonl")));
  const auto next = RunFolderWriter::create(path(), Former::kReplace);
  ASSERT_TRUE(next) << next.error().message;
  EXPECT_FALSE(fs::exists(path("run/requests.jsonl")));
  EXPECT_FALSE(fs::exists(path("run/run.json")));
}

TEST_F(RunFolderTest, OnlyAFolderWithOurMarkerIsEverCleared) {
  write("run/logs/precious.txt", "x");
  for (const Former former : {Former::kReplace, Former::kRefuse}) {
    const auto writer = RunFolderWriter::create(path(), former);
    ASSERT_FALSE(writer);
    EXPECT_THAT(writer.error().message, HasSubstr("no run of this program"));
  }
  EXPECT_TRUE(fs::exists(path("run/logs/precious.txt")));
  write("file", "x");
  EXPECT_FALSE(RunFolderWriter::create(path("file"), Former::kReplace));
  EXPECT_FALSE(RunFolderWriter::create("", Former::kReplace));
  EXPECT_FALSE(RunFolderWriter::create(" ", Former::kReplace));
  ASSERT_TRUE(make_directories(path("empty")));
  EXPECT_TRUE(RunFolderWriter::create(path("empty"), Former::kRefuse));
}

TEST_F(RunFolderTest, ARunThatWasCutShortIsNotTakenForAWholeOne) {
  { ASSERT_TRUE(RunFolderWriter::create(path(), Former::kReplace)); }
  const auto run = open_run_folder(path());
  ASSERT_FALSE(run);
  EXPECT_EQ(run.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(run.error().message, HasSubstr("never came to its end"));
}

TEST_F(RunFolderTest, AFolderWithoutAManifestReads) {
  write("run/requests.jsonl", "{}");
  write("run/spans.otlp-2026-11-21T12-00-00.000-size.jsonl", "");
  write("run/spans.otlp.jsonl", "");
  const auto run = open_run_folder(path());
  ASSERT_TRUE(run) << run.error().message;
  EXPECT_FALSE(run->manifest);
  EXPECT_TRUE(run->has(run_files::kLedger));
  EXPECT_FALSE(run->has(run_files::kServer));
  EXPECT_EQ(run->span_files().size(), 2u);
  EXPECT_THAT(*altered_files(*run), ElementsAre());
}

TEST_F(RunFolderTest, ABrokenManifestSaysWhere) {
  const std::pair<const char*, const char*> rows[] = {
      {"{", "run.json"},
      {R"({"run": 2})", "run: got 2"},
      {R"({"complete": true})", "missing key \"run\""},
      {R"({"run": 1})", "complete: got false, expected true"},
      {R"({"run": 1, "notes": [1]})", "notes"},
      {R"({"run": 1, "seed": -1})", "seed: got -1"},
      {R"({"run": 1, "files": [{"name": "x", "bytes": 1}]})", "sha256"},
  };
  for (const auto& [text, expected] : rows) {
    write("run/run.json", text);
    const auto run = open_run_folder(path());
    ASSERT_FALSE(run) << text;
    EXPECT_THAT(run.error().message, HasSubstr(expected));
  }
  EXPECT_EQ(open_run_folder(path("none")).error().code, ErrorCode::kNotFound);
}

TEST_F(RunFolderTest, DiscardingLeavesNothing) {
  const auto writer = RunFolderWriter::create(path(), Former::kReplace);
  ASSERT_TRUE(writer);
  (*writer)->discard();
  EXPECT_FALSE(fs::exists(path()));
}

TEST(RunFiles, ASubjectsNameGoesBeforeTheEnding) {
  EXPECT_EQ(file_of_subject(run_files::kMetrics, ""), "metrics.txt");
  EXPECT_EQ(file_of_subject(run_files::kMetrics, "canary"), "metrics.canary.txt");
}

}  // namespace
}  // namespace touchstone::records
