// A sweep shared among programs: shares, the manifest of Kubernetes, a real Slurm.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/files.h"
#include "harness/process/capture.h"
#include "harness/sweep/cluster_job.h"
#include "tests/support/json_schema.h"
#include "tests/support/paths.h"

namespace touchstone::harness {
namespace {

using ::testing::HasSubstr;

class SweepElsewhere : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(
        write_file_atomic(
            grid_,
            "sweep: 1\n"
            "flags: {requests: 20, rate: 20, steptime: \"constant:10ms\", max-model-len: 2048,\n"
            "        num-gpu-blocks-override: 500}\n"
            "grid: {replicas: [1, 2], max-num-seqs: [2, 4, 8]}\n")
            .has_value());
  }
  SweepOptions options(const std::string& folder) const {
    return {.grid_path = grid_,
            .output = directory_.path() + "/" + folder,
            .program = support::touchstone_binary(),
            .threads = 1,
            .progress = {}};
  }
  TemporaryDirectory directory_ = TemporaryDirectory::make("touchstone-elsewhere").value();
  const std::string grid_ = directory_.path() + "/grid.yaml";
  const RealClock clock_;
};

TEST_F(SweepElsewhere, SharesCoverEveryPointOnceWithTheBytesOfTheWhole) {
  ASSERT_TRUE(run_sweep(options("whole"), clock_).has_value());
  int64_t ran = 0;
  for (int64_t i = 0; i < 4; ++i) {
    SweepOptions share = options("shared");
    share.share = parse_share(std::to_string(i) + "/4").value();
    const auto outcome = run_sweep(share, clock_);
    ASSERT_TRUE(outcome.has_value()) << outcome.error().message;
    EXPECT_TRUE(outcome->csv_path.empty()) << "the others may be under way";
    ran += outcome->ran;
  }
  EXPECT_EQ(ran, 6);
  const auto gathered = gather_sweep(options("shared"));
  ASSERT_TRUE(gathered.has_value()) << gathered.error().message;
  EXPECT_EQ(gathered->failed, 0);
  for (const char* file : {"/sweep.csv", "/points/00000.json", "/points/00005.json"}) {
    EXPECT_EQ(read_file(directory_.path() + "/whole" + file).value(),
              read_file(directory_.path() + "/shared" + file).value());
  }
  ASSERT_TRUE(std::filesystem::remove(directory_.path() + "/shared/points/00003.json"));
  EXPECT_EQ(gather_sweep(options("shared"))->failed, 1);
  for (const char* text : {"", "1", "4/4", "-1/4", "a/b", "1/2/3"}) {
    EXPECT_THAT(parse_share(text).error().message, HasSubstr("expected I/N")) << text;
  }
}

TEST_F(SweepElsewhere, TheManifestIsAnIndexedJobOfTheKubernetesApi) {
  ClusterJobOptions job{.grid_path = grid_,
                        .output = directory_.path() + "/out",
                        .program = support::touchstone_binary(),
                        .tasks = 3,
                        .image = "registry.example/touchstone:1",
                        .claim = "sweeps"};
  const auto path = write_kubernetes_job(job);
  ASSERT_TRUE(path.has_value()) << path.error().message;
  nlohmann::json manifest = support::yaml_as_json(read_file(*path).value());
  const std::string schema = "fixtures/schemas/kubernetes-1.37.0-job.json";
  EXPECT_THAT(support::schema_problems(schema, manifest), testing::IsEmpty());
  EXPECT_EQ(manifest["spec"]["completionMode"], "Indexed");
  EXPECT_EQ(manifest["spec"]["completions"], 3);
  EXPECT_THAT(manifest.dump(), HasSubstr("$(JOB_COMPLETION_INDEX)/3"));
  manifest["spec"]["completion"] = 3;
  EXPECT_THAT(support::schema_problems(schema, manifest), testing::Not(testing::IsEmpty()))
      << "the schema sees a word that is none";
  job.claim.clear();
  EXPECT_THAT(write_kubernetes_job(job).error().message, HasSubstr("--claim: got none"));
}

/// Only where a Slurm answers; `scripts/slurm COMMAND` runs one of this machine beside the command.
TEST_F(SweepElsewhere, AnArrayJobOfSlurmGivesTheBytesOfThisMachine) {
  const Supervision supervision{clock_};
  const auto there = run_and_capture({.name = "sinfo", .argv = {"sinfo", "--noheader"}},
                                     supervision, 20 * kNsPerSecond);
  if (!there || !there->status.code || *there->status.code != 0) {
    GTEST_SKIP()
        << "NO SLURM ANSWERS HERE: nothing was tested. `scripts/slurm COMMAND` runs one beside it.";
  }
  ASSERT_TRUE(run_sweep(options("here"), clock_).has_value());
  const auto outcome = run_on_slurm({.grid_path = grid_,
                                     .output = directory_.path() + "/there",
                                     .program = support::touchstone_binary(),
                                     .tasks = 3},
                                    supervision);
  ASSERT_TRUE(outcome.has_value()) << outcome.error().message << " " << outcome.error().hint;
  EXPECT_EQ(outcome->points, 6);
  EXPECT_EQ(outcome->failed, 0);
  for (int i = 0; i < 6; ++i) {
    const std::string point = "/points/0000" + std::to_string(i) + ".json";
    EXPECT_EQ(read_file(directory_.path() + "/here" + point).value(),
              read_file(directory_.path() + "/there" + point).value());
  }
  EXPECT_EQ(read_file(directory_.path() + "/here/sweep.csv").value(),
            read_file(directory_.path() + "/there/sweep.csv").value());
}

}  // namespace
}  // namespace touchstone::harness
