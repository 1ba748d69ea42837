// `check --backend`: the last hop, from the real Collector into a store that is asked.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "base/files.h"
#include "harness/sink/sink.h"
#include "tests/end_to_end/stack.h"
#include "tests/support/paths.h"

namespace touchstone::end_to_end {
namespace {

using ::testing::HasSubstr;

class CheckBackend : public Check {
 protected:
  /// A store that takes spans at grpc_port() and is asked at url().
  void start_sink(int64_t memory_bytes_max) {
    harness::SinkOptions options;
    options.grpc = "127.0.0.1:0";
    options.http = {"127.0.0.1:0"};
    options.memory_bytes_max = memory_bytes_max;
    auto sink = harness::Sink::start(options, clock_);
    ASSERT_TRUE(sink.has_value()) << sink.error().message;
    sink_ = *std::move(sink);
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(sink_->http_ports()[0]); }

  /// The quickstart's configuration, which exports to the store too.
  std::string suite() const {
    const auto quickstart = read_file(support::source_dir() + "/collector_configs/quickstart.yaml");
    EXPECT_TRUE(quickstart.has_value());
    std::string config =
        replaced(*quickstart, "\nexporters:\n",
                 "\nexporters:\n  otlp_grpc/sink:\n    endpoint: 127.0.0.1:" +
                     std::to_string(sink_->grpc_port()) + "\n    tls: {insecure: true}\n");
    config =
        replaced(config, "exporters: [file, debug]", "exporters: [file, debug, otlp_grpc/sink]");
    write("collector.yaml", config);
    return write("suite.yaml",
                 replaced(small_suite_text(10, 1.0),
                          support::source_dir() + "/collector_configs/quickstart.yaml",
                          path("collector.yaml")));
  }

  std::unique_ptr<harness::Sink> sink_;
  const RealClock clock_;
};

TEST_F(CheckBackend, EverySpanThatTheCollectorWroteIsThere) {
  start_sink(256 << 20);
  const Ran ran = check(suite(), {"--backend", "sink=" + url()});
  EXPECT_EQ(ran.code, 0) << ran.output << ran.errors;
  EXPECT_GE(sink_->counters().received, 10);
  const auto checks = report().at("checks");
  const auto found = std::find_if(checks.begin(), checks.end(), [](const auto& one) {
    return one.at("id") == "backend.delivered";
  });
  ASSERT_NE(found, checks.end());
  EXPECT_EQ(found->at("verdict"), "pass");
  EXPECT_GE(found->at("examined"), 10);
}

TEST_F(CheckBackend, SpansThatItDroppedAreMissed) {
  start_sink(1 << 13);  // a few spans
  const Ran ran = check(suite(), {"--backend", "sink=" + url(), "--backend-wait", "1s"});
  EXPECT_EQ(ran.code, 1) << ran.output << ran.errors;
  EXPECT_GT(sink_->counters().dropped + sink_->counters().refused, 0);
  EXPECT_THAT(ran.output, HasSubstr("a span that the Collector wrote is not in sink=" + url()));
}

}  // namespace
}  // namespace touchstone::end_to_end
