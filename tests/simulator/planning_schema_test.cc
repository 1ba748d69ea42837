// What people write for the planner fits its schemas: the shipped files, and the fleet that a plan
// leaves.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/files.h"
#include "simulator/cluster/cluster_file.h"
#include "simulator/planner/plan.h"
#include "tests/support/json_schema.h"
#include "tests/support/paths.h"

namespace touchstone::simulator {
namespace {

using Problems = std::vector<std::string>;

TEST(PlanningSchemas, TheShippedFilesFitAndOtherKeysDoNot) {
  const std::pair<const char*, const char*> rows[] = {
      {"hardware.yaml", "simulator/cluster/hardware.schema.json"},
      {"cluster.yaml", "simulator/cluster/cluster.schema.json"},
      {"grid.yaml", "harness/sweep/grid.schema.json"}};
  for (const auto& [file, schema] : rows) {
    const auto text = read_file(support::source_dir() + "/fixtures/planning/" + file);
    ASSERT_TRUE(text.has_value()) << file;
    nlohmann::json json = support::yaml_as_json(*text);
    EXPECT_EQ(support::schema_problems(schema, json), Problems()) << file;
    json["nobody_knows"] = 1;
    EXPECT_NE(support::schema_problems(schema, json), Problems()) << file;
  }
}

TEST(PlanningSchemas, ThePlansFleetIsAClusterFile) {
  HardwarePlan plan;
  plan.row.name = "a \"large\" one";
  plan.row.step_time = "linear:6ms,25us,90us";
  plan.row.price_per_hour = 2.5;
  plan.row.start_up_ns = 30'000'000'000;
  plan.config.num_blocks = 5000;
  plan.config.max_num_seqs = 7;
  plan.config.enable_prefix_caching = false;
  plan.config.policy = scheduler::Policy::kPriority;
  plan.replicas = 3;
  const std::string text = cluster_yaml(plan, "prefix");
  EXPECT_EQ(support::schema_problems("simulator/cluster/cluster.schema.json",
                                     support::yaml_as_json(text)),
            Problems());
  const auto directory = TemporaryDirectory::make("touchstone-plan");
  const std::string path = directory->path() + "/cluster.yaml";
  ASSERT_TRUE(write_file_atomic(path, text).has_value());
  const auto file = read_cluster(path);
  ASSERT_TRUE(file.has_value()) << file.error().message;
  EXPECT_EQ(file->router, "prefix");
  const auto cluster = make_cluster(*file, {});
  ASSERT_TRUE(cluster.has_value()) << cluster.error().message;
  ASSERT_EQ(cluster->replicas.size(), 3u);
  EXPECT_EQ(scheduler::values_of(cluster->replicas[0].config), scheduler::values_of(plan.config));
  EXPECT_EQ(cluster->replicas[0].start_up_ns, plan.row.start_up_ns);
  EXPECT_EQ(cluster->names[2], plan.row.name);
  EXPECT_EQ(cluster->price_per_hour[0], 2.5);
}

}  // namespace
}  // namespace touchstone::simulator
