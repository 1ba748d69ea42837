// Each span dialect over each transport, through the real Collector, judged by its own profile.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>
#include <tuple>
#include <vector>

#include "telemetry/dialects/dialect.h"
#include "telemetry/export/transports.h"
#include "tests/end_to_end/stack.h"

namespace touchstone::end_to_end {
namespace {

struct Transported {
  const char* name;
  const char* protocol;  // empty: gRPC
};

struct Emitted {
  const char* name;
  const char* dialect;
  const char* profile;
};

class DialectOver : public Check,
                    public ::testing::WithParamInterface<std::tuple<Emitted, Transported>> {
 protected:
  /// Alone, through the real Collector: every owed span there, every key on every span that must
  /// have it.
  void expect_passes() {
    const auto& [emitted, transported] = GetParam();
    std::string text = small_suite_text(12, 1.0);
    text =
        replaced(text, "      - --step-log",
                 std::string("      - --span-dialect=") + emitted.dialect + "\n      - --step-log");
    text =
        replaced(text, "profiles: [vllm-v1]", std::string("profiles: [") + emitted.profile + "]");
    if (*transported.protocol != '\0') {
      text = replaced(text, "${collector.otlp_grpc}", "${collector.otlp_http}");
      text = replaced(text, "    environment: {",
                      std::string("    environment: {") +
                          "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: " + transported.protocol + ", ");
    }
    const Ran ran = check(write("suite.yaml", text));
    EXPECT_EQ(ran.code, 0) << ran.output << ran.errors;
    const auto judged = report();
    EXPECT_EQ(judged.at("verdict"), "pass");
    int64_t required = 0;
    for (const auto& one : judged.at("coverage")) {
      if (one.at("level") != "MUST") continue;
      ++required;
      EXPECT_EQ(one.at("present"), one.at("total")) << one.dump();
      EXPECT_GT(one.at("total"), 0) << one.dump();
    }
    EXPECT_GT(required, 0);
  }
};

TEST_P(DialectOver, PassesItsOwnProfile) { expect_passes(); }

constexpr Emitted kDialects[] = {
    {"vllm", "vllm", "vllm-v1"},          {"vllm_v0", "vllm-v0", "vllm-v0"},
    {"audit", "audit", "audit"},          {"phases", "phases", "phases"},
    {"tutorial", "tutorial", "tutorial"}, {"genai", "genai", "genai"},
    {"http", "vllm,http", "http"}};
constexpr Transported kTransports[] = {
    {"grpc", ""}, {"http", "http/protobuf"}, {"json", "http/json"}};

/// All of them in `scripts/test --long`; else each transport once, and the dialects with children.
std::vector<std::tuple<Emitted, Transported>> combinations() {
  std::vector<std::tuple<Emitted, Transported>> all;
  for (const Emitted& dialect : kDialects) {
    for (const Transported& transport : kTransports) all.emplace_back(dialect, transport);
  }
  if (TOUCHSTONE_EVERY_DIALECT_OVER_EVERY_TRANSPORT) return all;
  return {{kDialects[0], kTransports[1]},
          {kDialects[3], kTransports[0]},
          {kDialects[4], kTransports[0]},
          {kDialects[5], kTransports[2]}};
}

INSTANTIATE_TEST_SUITE_P(Each, DialectOver, ::testing::ValuesIn(combinations()),
                         [](const auto& test) {
                           return std::string(std::get<0>(test.param).name) + "_" +
                                  std::get<1>(test.param).name;
                         });

TEST(Dialects, NoneIsLeftOut) {
  EXPECT_EQ(std::size(kDialects), telemetry::dialect_rows().size());
  for (const telemetry::DialectRow& row : telemetry::dialect_rows()) {
    EXPECT_TRUE(std::any_of(std::begin(kDialects), std::end(kDialects), [&](const Emitted& each) {
      return std::string_view(each.dialect).ends_with(row.name);
    })) << row.name;
  }
  EXPECT_EQ(std::size(kTransports), telemetry::transport_rows().size());
}

}  // namespace
}  // namespace touchstone::end_to_end
