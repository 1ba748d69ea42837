#include "reference_engine/scheduler/config.h"

#include <gtest/gtest.h>

#include <set>

namespace touchstone::scheduler {
namespace {

TEST(Config, EveryFieldIsReadAndSetThroughTheTable) {
  std::set<std::string_view> names;
  for (const ConfigField& field : config_fields()) {
    EXPECT_TRUE(names.insert(field.name).second) << field.name;
    EXPECT_EQ(find_field(field.name), &field);
    Config config;
    const FieldValue before = scheduler::get(config, field);
    FieldValue other = std::string("priority");
    if (const auto* flag = std::get_if<bool>(&before)) other = !*flag;
    if (const auto* number = std::get_if<int64_t>(&before)) other = *number + 3;
    ASSERT_TRUE(set(config, field, other).has_value()) << field.name;
    EXPECT_EQ(scheduler::get(config, field), other) << field.name;
    for (const ConfigField& rest : config_fields()) {
      if (&rest == &field) continue;
      EXPECT_EQ(scheduler::get(config, rest), scheduler::get(Config{}, rest)) << rest.name;
    }
  }
  EXPECT_EQ(find_field("no such"), nullptr);
}

TEST(Config, ValuesThatAFieldCannotHoldAreRefused) {
  struct Row {
    const char* field;
    FieldValue value;
    const char* message;
  };
  const Row rows[] = {
      {"block_size", int64_t{0}, "got 0, expected 1 to 65536"},
      {"max_num_seqs", int64_t{1} << 40, "got 1099511627776, expected 1 to 2147483647"},
      {"num_blocks", std::string("many"), "got \"many\", expected a number"},
      {"async_scheduling", int64_t{1}, "got 1, expected true or false"},
      {"policy", std::string("lifo"), "got \"lifo\", expected fcfs or priority"},
      {"policy", true, "got true, expected fcfs or priority"},
  };
  for (const Row& row : rows) {
    Config config;
    const Status status = set(config, *find_field(row.field), row.value);
    ASSERT_FALSE(status.has_value()) << row.field;
    EXPECT_EQ(status.error().message, row.message);
    EXPECT_EQ(set_values({{row.field, row.value}}, config).error().message,
              std::string(row.field) + ": " + row.message);
  }
}

TEST(Config, AllValuesTogetherAreTheConfiguration) {
  const Config config{.num_blocks = 77, .policy = Policy::kPriority, .sliding_window = 12};
  Config copy;
  ASSERT_TRUE(set_values(values_of(config), copy).has_value());
  EXPECT_EQ(values_of(copy), values_of(config));
  FieldValues newer = values_of(config);
  newer["no such"] = true;
  EXPECT_TRUE(set_values(newer, copy).has_value());
}

}  // namespace
}  // namespace touchstone::scheduler
