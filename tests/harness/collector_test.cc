#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>

#include "base/files.h"
#include "harness/collector/build.h"
#include "harness/collector/config.h"
#include "harness/collector/embedded.h"
#include "harness/collector/find.h"
#include "harness/process/ports.h"
#include "telemetry/export/transports.h"
#include "tests/support/paths.h"

namespace touchstone::harness {
namespace {

const std::string kQuickstart = support::source_dir() + "/collector_configs/quickstart.yaml";

class Collector : public ::testing::Test {
 protected:
  void SetUp() override {
    auto made = TemporaryDirectory::make("touchstone-collector-test");
    ASSERT_TRUE(made);
    folder_ = std::make_unique<TemporaryDirectory>(std::move(*made));
  }
  std::string write(const std::string& name, const std::string& content) {
    const std::string path = folder_->path() + "/" + name;
    EXPECT_TRUE(write_file_atomic(path, content));
    return path;
  }
  /// A program that prints `output` when asked for its components.
  std::string script(const std::string& name, const std::string& output) {
    const std::string path = write(name, "#!/bin/sh\ncat <<'END'\n" + output + "\nEND\n");
    ::chmod(path.c_str(), 0755);
    return path;
  }

  RealClock clock_;
  Supervision supervision_{clock_};
  std::unique_ptr<TemporaryDirectory> folder_;
};

TEST_F(Collector, TheComponentsOfAConfigurationAreItsTypes) {
  const auto needed = components_of_config(kQuickstart);
  ASSERT_TRUE(needed) << needed.error().message;
  EXPECT_EQ(*needed, (Components{{"receivers", {"otlp", "prometheus"}},
                                 {"processors", {"filter", "resource", "batch"}},
                                 {"exporters", {"file", "debug", "prometheus"}},
                                 {"extensions", {"health_check"}}}));
}

TEST_F(Collector, WhatIsNotAConfigurationIsRefused) {
  EXPECT_FALSE(components_of_config(write("a.yaml", "x: 1\n")));
  EXPECT_FALSE(components_of_config(write("b.yaml", "receivers: [\n")));
  EXPECT_FALSE(components_of_config(folder_->path() + "/none.yaml"));
}

TEST_F(Collector, PipelinesOfTracesAreToldApart) {
  const auto page =
      pipelines_page(write("c.yaml",
                           "connectors: {forward: }\n"
                           "service:\n"
                           "  pipelines:\n"
                           "    traces:\n"
                           "      receivers: [otlp]\n"
                           "      processors: [filter/pii]\n"
                           "      exporters: [file, forward]\n"
                           "    traces/sampled: {receivers: [forward], exporters: [otlp_grpc]}\n"
                           "    metrics: {receivers: [otlp], exporters: [debug]}\n"));
  ASSERT_TRUE(page) << page.error().message;
  EXPECT_EQ(
      *page,
      "# TYPE touchstone_collector_pipeline gauge\n"
      "touchstone_collector_pipeline{name=\"filter/pii\",part=\"processor\",pipeline=\"traces\"} "
      "1\n"
      "touchstone_collector_pipeline{name=\"file\",part=\"exporter\",pipeline=\"traces\"} 1\n"
      "touchstone_collector_pipeline{name=\"forward\",part=\"exporter\",pipeline=\"traces\"} 1\n"
      "touchstone_collector_pipeline{name=\"otlp_grpc\",part=\"exporter\",pipeline=\"traces/"
      "sampled\"} 1\n"
      "touchstone_collector_pipeline{name=\"forward\",part=\"connector\",pipeline=\"traces/"
      "sampled\"} 1\n");
  EXPECT_FALSE(pipelines_page(write("d.yaml", "service: [\n")));
}

TEST_F(Collector, MissingComponentsAreNamedAndRenamedOnesAreNotMissing) {
  const Components needed = {{"exporters", {"otlp", "file"}}, {"processors", {"filter"}}};
  EXPECT_EQ(missing_components(needed, {{"exporters", {"otlp_grpc"}}}),
            (std::set<std::string>{"exporter file", "processor filter"}));
  EXPECT_TRUE(missing_components({}, {}).empty());
}

TEST_F(Collector, BothFormsOfTheInventoryAreRead) {
  const auto now = parse_inventory(
      "buildinfo:\n    command: otelcol\n    version: 0.155.0\n"
      "receivers:\n    - name: otlp\n      module: m v0.155.0\n      stability:\n        traces: "
      "Stable\n");
  ASSERT_TRUE(now) << now.error().message;
  EXPECT_EQ(now->version, "0.155.0");
  EXPECT_EQ(now->components, (Components{{"receivers", {"otlp"}}}));
  const auto old = parse_inventory("buildinfo: {version: 0.88.0}\nreceivers: [otlp, zipkin]\n");
  ASSERT_TRUE(old);
  EXPECT_EQ(old->components, (Components{{"receivers", {"otlp", "zipkin"}}}));
  EXPECT_FALSE(parse_inventory("hello"));
  EXPECT_FALSE(parse_inventory(""));
}

TEST_F(Collector, TheFirstThatHasEverythingIsTaken) {
  const std::string poor = script("otelcol", "buildinfo: {version: 1.0.0}\nreceivers: [otlp]");
  const std::string rich = script(
      "otelcol-contrib", "buildinfo: {version: 2.0.0}\nreceivers: [otlp]\nexporters: [file]");
  CollectorSearch search;
  search.path = "/no/such/folder:" + folder_->path();
  search.cache = folder_->path();
  const auto found =
      find_collector(search, {{"receivers", {"otlp"}}, {"exporters", {"file"}}}, supervision_);
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(found->path, rich);
  EXPECT_EQ(found->version, "2.0.0");
  EXPECT_EQ(found->found_by, "PATH");
  // One that was named is the only candidate, even if another would do.
  search.flag = poor;
  const auto named =
      find_collector(search, {{"receivers", {"otlp"}}, {"exporters", {"file"}}}, supervision_);
  ASSERT_FALSE(named);
  EXPECT_EQ(named.error().code, ErrorCode::kUnavailable);
  EXPECT_NE(named.error().message.find("version 1.0.0) lacks exporter file"), std::string::npos)
      << named.error().message;
}

TEST_F(Collector, NoneAtAllSaysWhereItLookedAndWhatToDo) {
  CollectorSearch search;
  search.path = folder_->path();
  search.cache = folder_->path();
  const auto found = find_collector(search, {}, supervision_);
  ASSERT_FALSE(found);
  EXPECT_NE(found.error().message.find(folder_->path() + "/collector/0.155.0/otelcol"),
            std::string::npos);
  EXPECT_NE(found.error().hint.find("touchstone collector build"), std::string::npos);
  search.environment = "/no/such/otelcol";
  const auto named = find_collector(search, {}, supervision_);
  ASSERT_FALSE(named);
  EXPECT_NE(named.error().message.find("No such file"), std::string::npos);
}

TEST_F(Collector, GoVersionsAreCompared) {
  EXPECT_TRUE(is_go_new_enough("go version go1.26.8 linux/amd64\n"));
  EXPECT_TRUE(is_go_new_enough("go version go1.25.0 linux/arm64"));
  EXPECT_TRUE(is_go_new_enough("go version go2.0 linux/amd64"));
  EXPECT_FALSE(is_go_new_enough("go version go1.19.8 linux/amd64"));
  EXPECT_FALSE(is_go_new_enough("sh: go: not found"));
  EXPECT_FALSE(is_go_new_enough(""));
}

/// Uses the machine's real Collector where there is one.
class RealCollector : public Collector {
 protected:
  Result<CollectorBinary> find() {
    CollectorSearch search;
    const auto variable = [](const char* name) {
      const char* value = std::getenv(name);
      return value == nullptr ? std::string() : std::string(value);
    };
    if (const std::string named = variable("TOUCHSTONE_COLLECTOR"); !named.empty()) {
      search.environment = named;
    }
    search.path = variable("PATH");
    const std::string xdg = variable("XDG_CACHE_HOME");
    search.cache = (xdg.empty() ? variable("HOME") + "/.cache" : xdg) + "/touchstone";
    const auto needed = components_of_config(kQuickstart);
    if (!needed) return needed.error();
    return find_collector(search, *needed, supervision_);
  }
};

TEST_F(RealCollector, TakesTheShippedConfigurationAndRefusesABrokenOne) {
  const auto collector = find();
  if (!collector) GTEST_SKIP() << "no real Collector here: " << collector.error().message;
  const Status good = validate_collector_config(*collector, kQuickstart, {}, supervision_);
  EXPECT_TRUE(good) << good.error().message;
  const auto text = read_file(kQuickstart);
  ASSERT_TRUE(text);
  std::string broken = *text;
  broken.replace(broken.find("error_mode"), 10, "eror_mode_");
  const Status bad =
      validate_collector_config(*collector, write("broken.yaml", broken), {}, supervision_);
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(bad.error().message.find("eror_mode_"), std::string::npos) << bad.error().message;
}

TEST(EmbeddedCollector, RefusesWhatItCannotWrite) {
  const RealClock clock;
  PortReservation ports;
  const auto port = ports.take();
  ASSERT_TRUE(port);
  auto collector = EmbeddedCollector::start(*port, "/dev/full");
  ASSERT_TRUE(collector) << collector.error().message;
  const auto options = telemetry::otlp_options("http://127.0.0.1:" + std::to_string(*port), {});
  ASSERT_TRUE(options);
  auto exporter = telemetry::make_otlp_exporter(*options, {}, clock);
  ASSERT_TRUE(exporter);
  const telemetry::SpanOrigin origin;
  (*exporter)->submit(origin, {});
  EXPECT_FALSE((*exporter)->shutdown(20 * kNsPerSecond));
  EXPECT_EQ((*exporter)->counters().failed, 1);
  EXPECT_FALSE((*collector)->stop());
}

}  // namespace
}  // namespace touchstone::harness
