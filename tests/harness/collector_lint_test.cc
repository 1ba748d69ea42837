#include <gtest/gtest.h>

#include "base/files.h"
#include "harness/collector/find.h"
#include "harness/collector/lint.h"
#include "tests/support/paths.h"
#include "tests/support/real_collector.h"

namespace touchstone::harness {
namespace {

struct Row {
  const char* what;
  const char* before;
  const char* after;  // null: no change
  const char* rule;   // of the first finding; empty: none
  int64_t line = 0;
};

TEST(CollectorLint, FindsEachAndMendsItWhereItStands) {
  for (const Row& row : {
           Row{"a former exporter, where it is used too",
               "exporters:\n  # to the console\n  logging:\n    loglevel: debug  # all of it\n"
               "service:\n  pipelines:\n    traces: {receivers: [otlp], exporters: [logging]}\n",
               "exporters:\n  # to the console\n  debug:\n    verbosity: detailed  # all of it\n"
               "service:\n  pipelines:\n    traces: {receivers: [otlp], exporters: [debug]}\n",
               "component.renamed", 3},
           Row{"a name of its own goes along",
               "exporters:\n  otlp/signoz: {endpoint: a:1}\n  otlphttp: {endpoint: b:1}\nservice:\n"
               "  pipelines:\n    traces:\n      exporters:\n        - otlp/signoz\n        - "
               "otlphttp\n",
               "exporters:\n  otlp_grpc/signoz: {endpoint: a:1}\n  otlp_http: {endpoint: b:1}\n"
               "service:\n  pipelines:\n    traces:\n      exporters:\n        - otlp_grpc/signoz\n"
               "        - otlp_http\n",
               "component.renamed", 2},
           Row{"a receiver keeps it",
               "receivers:\n  otlp:\n    protocols: {grpc: {endpoint: a:1}}\n", nullptr, ""},
           Row{"the address of its own metrics",
               "service:\n  telemetry:\n    metrics:\n      level: normal\n      address: "
               "0.0.0.0:8888\n",
               "service:\n  telemetry:\n    metrics:\n      level: normal\n      readers:\n"
               "        - pull:\n            exporter:\n              prometheus:\n"
               "                host: 0.0.0.0\n                port: 8888\n",
               "telemetry.address", 5},
           Row{"the environment's key",
               "processors:\n  resource:\n    attributes:\n"
               "      - {key: deployment.environment, value: production, action: upsert}\n",
               "processors:\n  resource:\n    attributes:\n"
               "      - {key: deployment.environment.name, value: production, action: upsert}\n",
               "attribute.renamed", 4},
           Row{"both keys are meant",
               "processors:\n  resource:\n    attributes:\n"
               "      - {key: deployment.environment, value: p, action: upsert}\n"
               "      - {key: deployment.environment.name, value: p, action: upsert}\n",
               nullptr, ""},
           Row{"a filter of former form",
               "processors:\n  filter/pii:\n    traces:\n      span:\n"
               "        - attributes[\"user.email\"] != nil\n"
               "        - 'name == \"a name\" and resource.attributes[\"x\"] == 1'\n",
               "processors:\n  filter/pii:\n    error_mode: ignore\n    trace_conditions:\n"
               "      - 'span.attributes[\"user.email\"] != nil'\n"
               "      - 'span.name == \"a name\" and resource.attributes[\"x\"] == 1'\n",
               "filter.error_mode", 2},
           Row{"a batch that forgets what it acknowledged",
               "processors:\n  batch: {timeout: 5s, send_batch_size: 512}\nexporters:\n"
               "  otlp_grpc:\n    endpoint: a:1\n    sending_queue:\n      storage: file_storage\n"
               "service:\n  pipelines:\n    traces:\n      processors: [resource, batch]\n"
               "      exporters: [otlp_grpc]\n",
               "processors:\n  batch: {timeout: 5s, send_batch_size: 512}\nexporters:\n"
               "  otlp_grpc:\n    endpoint: a:1\n    sending_queue:\n      batch:\n"
               "        flush_timeout: 5s\n        min_size: 512\n      storage: file_storage\n"
               "service:\n  pipelines:\n    traces:\n      processors: [resource]\n"
               "      exporters: [otlp_grpc]\n",
               "batch.before_queue", 11},
           Row{"variables", "exporters:\n  debug:\n    a: $HOST\n    b: ${PORT}\n    c: $$x\n",
               "exporters:\n  debug:\n    a: \"${env:HOST}\"\n    b: \"${env:PORT}\"\n    c: $$x\n",
               "variable.form", 3},
           Row{"today's variables", "exporters:\n  debug:\n    a: ${env:HOST:-x}:4317\n", nullptr,
               ""},
           Row{"a key of the queue",
               "exporters:\n  otlp_grpc:\n    sending_queue:\n      blocking: true\n",
               "exporters:\n  otlp_grpc:\n    sending_queue:\n      block_on_overflow: true\n",
               "queue.blocking", 4},
           Row{"a file that is emptied", "exporters:\n  file:\n    path: /a\n",
               "exporters:\n  file:\n    append: true\n    path: /a\n", "file.truncates", 2},
           Row{"both at once", "exporters:\n  file:\n    append: true\n    rotation: {}\n", nullptr,
               "file.append", 3},
           Row{"sampling before the audit's file",
               "exporters:\n  file: {append: true}\nservice:\n  pipelines:\n    traces:\n"
               "      processors: [tail_sampling]\n      exporters: [file]\n",
               nullptr, "sampling.before_file", 6},
           Row{"a limiter too late",
               "service:\n  pipelines:\n    traces:\n      processors: [batch, memory_limiter]\n",
               nullptr, "limiter.order", 4},
           Row{"what is gone for good", "extensions:\n  memory_ballast: {size_mib: 64}\n", nullptr,
               "component.removed", 2},
           Row{"an address that a container cannot reach",
               "receivers:\n  otlp:\n    protocols:\n      grpc:\n", nullptr, "receiver.localhost",
               4},
           Row{"flow style is left alone", "service: {telemetry: {metrics: {address: \"a:1\"}}}\n",
               nullptr, "telemetry.address", 1},
       }) {
    SCOPED_TRACE(row.what);
    const auto lint = lint_collector_config("c.yaml", row.before);
    ASSERT_TRUE(lint) << lint.error().message;
    EXPECT_EQ(lint->fixed, row.after == nullptr ? row.before : row.after);
    ASSERT_EQ(lint->findings.empty(), std::string(row.rule).empty());
    if (lint->findings.empty()) continue;
    EXPECT_EQ(lint->findings[0].rule, row.rule);
    EXPECT_EQ(lint->findings[0].line, row.line);
    EXPECT_EQ(lint->findings[0].fixable, row.after != nullptr);
  }
}

TEST(CollectorLint, WhatIsNoConfigurationIsRefused) {
  for (const char* text : {"", "a: [", "- a\n", "plain"}) {
    EXPECT_FALSE(lint_collector_config("c.yaml", text)) << text;
  }
}

TEST(CollectorLint, TutorialsAreValidOnceMended) {
  const RealClock clock;
  const Supervision supervision{clock};
  for (const char* name : {"tutorial-000.yaml", "tutorial-001.yaml", "observability-vendor.yaml"}) {
    SCOPED_TRACE(name);
    const std::string path = support::source_dir() + "/fixtures/collector_configs/" + name;
    const auto text = read_file(path);
    ASSERT_TRUE(text) << text.error().message;
    const auto lint = lint_collector_config(name, *text);
    ASSERT_TRUE(lint);
    EXPECT_FALSE(lint->findings.empty());
    const auto folder = TemporaryDirectory::make("mended");
    ASSERT_TRUE(folder);
    const std::string mended = folder->path() + "/" + name;
    ASSERT_TRUE(write_file_atomic(mended, lint->fixed));
    const auto needed = components_of_config(mended);
    ASSERT_TRUE(needed);
    const auto binary = find_collector(testing::collector_search(), *needed, supervision);
    if (!binary) GTEST_SKIP() << "no Collector here: " << binary.error().message;
    const Status valid =
        validate_collector_config(*binary, mended,
                                  {{"SIGNOZ_IP", "127.0.0.1"},
                                   {"DASH0_AUTH_TOKEN", "x"},
                                   {"DASH0_ENDPOINT_OTLP_GRPC_HOSTNAME", "127.0.0.1"},
                                   {"DASH0_ENDPOINT_OTLP_GRPC_PORT", "4317"},
                                   {"DASH0_DATASET", "d"}},
                                  supervision);
    EXPECT_TRUE(valid) << valid.error().message << "\n" << lint->fixed;
    const auto again = lint_collector_config(name, lint->fixed);
    ASSERT_TRUE(again);
    for (const LintFinding& finding : again->findings) {
      EXPECT_FALSE(finding.fixable) << finding.message;
    }
  }
}

}  // namespace
}  // namespace touchstone::harness
