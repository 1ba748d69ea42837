// The gate: `touchstone audit --since`, and the examples that run it every night.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/text.h"
#include "base/timestamp.h"
#include "harness/process/program.h"
#include "telemetry/otlp/json.h"
#include "tests/backends/command.h"
#include "tests/backends/spans.h"
#include "tests/support/http_client.h"
#include "tests/support/json_schema.h"
#include "tests/support/paths.h"

namespace touchstone::harness {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

/// When the recorded audit spans began, all within two seconds.
constexpr char kBefore[] = "2026-11-25T13:55:00Z";
constexpr char kAfter[] = "2026-11-25T14:00:00Z";

class Gate : public ::testing::Test {
 protected:
  std::string path(const std::string& name) const { return folder_.path() + "/" + name; }

  /// A file of `batch`, a line a group.
  std::string write(const std::string& name, const telemetry::TraceBatch& batch) const {
    std::string text;
    for (const telemetry::ResourceSpans& group : batch) {
      text += telemetry::encode_otlp_json({group}) + "\n";
    }
    EXPECT_TRUE(write_file_atomic(path(name), text).has_value());
    return path(name);
  }
  Captured audit(const std::string& file, std::vector<std::string> more = {}) const {
    std::vector<std::string> words = {"audit", "--file", file, "--profile", "audit"};
    words.insert(words.end(), more.begin(), more.end());
    return run_touchstone(words);
  }

  const TemporaryDirectory folder_ = *TemporaryDirectory::make("touchstone-gate");
  const std::string recorded_ = support::source_dir() + "/" + kAuditSpans;
  const std::vector<std::string> window_ = {"--since", kBefore, "--until", kAfter};
};

telemetry::TraceBatch without(const std::string& key, telemetry::TraceBatch batch,
                              size_t spans = SIZE_MAX) {
  const auto drop = [&](telemetry::Attributes& attributes) {
    std::erase_if(attributes, [&](const auto& one) { return one.key == key; });
  };
  for (auto& group : batch) {
    for (auto& scoped : group.scope_spans) {
      for (auto& span : scoped.spans) {
        if (spans-- == 0) return batch;
        drop(span.attributes);
        drop(group.resource.attributes);
      }
    }
  }
  return batch;
}

TEST_F(Gate, PassesAWindowInWhichEverythingWasSeenAndSaysWhen) {
  const Captured ran = audit(recorded_, window_);
  EXPECT_EQ(ran.status.code, 0) << ran.output << ran.errors;
  EXPECT_THAT(ran.output, HasSubstr("PASS            gen_ai.model.id"));
  EXPECT_THAT(ran.output, HasSubstr("2026-11-25 13:55:15 to 13:55:17"));
  EXPECT_THAT(ran.output, HasSubstr("model touchstone-tiny: PASS 25 of 25"));
  EXPECT_THAT(ran.output, HasSubstr("operation chat"));
}

TEST_F(Gate, FailsOnAnAttributeThatWasNotSeenAndNamesTheServicesWithoutIt) {
  for (const char* key : {"gen_ai.usage.prompt_tokens", "gen_ai.model.id", "service.name"}) {
    const std::string file = write("lost.jsonl", without(key, recorded_spans()));
    const Captured ran = audit(file, window_);
    EXPECT_EQ(ran.status.code, 1) << key << ran.output << ran.errors;
    EXPECT_THAT(ran.output, HasSubstr("MISSING         " + std::string(key)));
    EXPECT_THAT(ran.output, HasSubstr(std::string("missing in ") +
                                      (key == std::string("service.name") ? "(no service.name)"
                                                                          : "vllm-inference")));
  }
}

TEST_F(Gate, SaysWhichShareOfTheSpansHasAnAttribute) {
  const std::string file = write("some.jsonl", without("gen_ai.model.id", recorded_spans(), 4));
  const Captured ran = audit(file, window_);
  EXPECT_EQ(ran.status.code, 1) << "it must be on each";
  EXPECT_THAT(ran.output, HasSubstr("PARTIAL 11/15   gen_ai.model.id"));
}

TEST_F(Gate, AWindowWithoutSpansIsNeverAPass) {
  for (const auto& window :
       {std::vector<std::string>{"--since", kAfter}, {"--until", kBefore}, {"--since", "1s"}}) {
    const Captured ran = audit(recorded_, window);
    EXPECT_EQ(ran.status.code, 3) << ran.output;
    EXPECT_THAT(ran.output, HasSubstr("NO SPAN"));
  }
}

TEST_F(Gate, SpansOfOtherKindsAloneAreNoPassEither) {
  auto batch = recorded_spans();
  for (auto& group : batch) {
    for (auto& scoped : group.scope_spans) {
      scoped.scope.name = "some.library";
      for (auto& span : scoped.spans) span.name = "GET";
    }
  }
  const Captured ran = audit(write("other.jsonl", batch), window_);
  EXPECT_EQ(ran.status.code, 1) << ran.output;
  EXPECT_THAT(ran.output, HasSubstr("coverage.window"));
}

TEST_F(Gate, AWindowCutsTheLedgerWithItsSpans) {
  const std::vector<std::string> ledger = {"--ledger", support::source_dir() + "/" + kAuditLedger};
  std::vector<std::string> words = ledger;
  words.insert(words.end(), window_.begin(), window_.end());
  const Captured whole = audit(recorded_, words);
  EXPECT_EQ(whole.status.code, 0) << whole.output;
  // In the middle of the run: what was sent before is not asked for, and not accused.
  words = ledger;
  words.insert(words.end(), {"--since", "2026-11-25T13:55:16.5Z", "--until", kAfter});
  const Captured part = audit(recorded_, words);
  EXPECT_EQ(part.status.code, 0) << part.output;
  EXPECT_THAT(part.output, ::testing::Not(HasSubstr("15 spans")));
}

TEST_F(Gate, CountersOfAllTimeAccuseNoWindow) {
  const std::string run = support::source_dir() + "/fixtures/spans/touchstone-audit/";
  std::vector<std::string> words = {"--metrics",        run + "metrics.txt",     //
                                    "--ledger",         run + "requests.jsonl",  //
                                    "--metrics-before", run + "metrics_before.txt"};
  words.insert(words.end(), {"--since", "2026-11-25T13:55:16.5Z", "--until", kAfter});
  const Captured part = audit(recorded_, words);
  EXPECT_EQ(part.status.code, 0) << part.output;
  EXPECT_THAT(part.output, HasSubstr("note: the counters are not of this window of time alone: "));
}

TEST_F(Gate, ATraceThatTheWindowCutsIsAccusedOfNothing) {
  const std::string phases =
      support::source_dir() + "/fixtures/spans/touchstone-phases/spans.otlp.jsonl";
  int64_t middle = 0;  // within the first request, after its span began
  for (const auto& span : recorded_spans("fixtures/spans/touchstone-phases/spans.otlp.jsonl")[0]
                              .scope_spans[0]
                              .spans) {
    middle = std::max(middle, span.start_unix_ns);
  }
  const Captured ran = run_touchstone({"audit", "--file", phases, "--profile", "phases", "--since",
                                       format_utc_ns(middle), "--until", "2027-01-01"});
  EXPECT_EQ(ran.status.code, 0) << ran.output << ran.errors;
}

TEST_F(Gate, RefusesAWindowThatIsNone) {
  EXPECT_EQ(audit(recorded_, {"--since", "yesterday"}).status.code, 2);
  const Captured turned = audit(recorded_, {"--since", kAfter, "--until", kBefore});
  EXPECT_EQ(turned.status.code, 2);
  EXPECT_THAT(turned.errors, HasSubstr("expected a time before"));
  EXPECT_THAT(run_touchstone({"audit"}).errors, HasSubstr("expected --file or --backend"));
}

TEST_F(Gate, ItsReportFitsTheSchemaAndRendersAgain) {
  ASSERT_EQ(audit(recorded_, {"--seen", "--output", path("report")}).status.code, 0);
  const json report = json::parse(*read_file(path("report/report.json")));
  EXPECT_THAT(support::schema_problems("result/report.schema.json", report), ::testing::IsEmpty());
  ASSERT_FALSE(report["sightings"].empty());
  for (const char* format : {"text", "markdown", "html"}) {
    const Captured again =
        run_touchstone({"report", path("report/report.json"), "--format", format});
    EXPECT_EQ(again.status.code, 0);
    EXPECT_THAT(again.output, HasSubstr("2026-11-25 13:55:15 to 13:55:17")) << format;
  }
}

TEST_F(Gate, ReadsBackFromARunningSink) {
  SinkProcess sink;
  const RealClock clock;
  const auto now_spans =
      shifted(recorded_spans(), clock.unix_ns() - 1'795'614'915'820'998'877 - 60 * kNsPerSecond);
  testing::HttpClient client(sink.http_port());
  ASSERT_EQ(client
                .exchange("POST", "/v1/traces", telemetry::encode_otlp_json(now_spans),
                          {{"content-type", "application/json"}})
                .status,
            200);
  const Captured ran = run_touchstone(
      {"audit", "--since", "10m", "--backend", "sink=" + sink.url(), "--profile", "audit"});
  EXPECT_EQ(ran.status.code, 0) << ran.output << ran.errors;
  EXPECT_THAT(ran.output, HasSubstr("15 spans"));
  const Captured later = run_touchstone(
      {"audit", "--since", "1s", "--backend", "sink=" + sink.url(), "--profile", "audit"});
  EXPECT_EQ(later.status.code, 3) << later.output;
}

/// The command lines of the examples, made for this folder and program.
std::vector<std::string> command_lines(const std::string& example) {
  const auto text = read_file(support::source_dir() + "/examples/gate/" + example);
  BASE_CHECK(text.has_value(), example);
  std::vector<std::string> lines;
  for (const std::string& line : split(*text, '\n')) {
    for (const std::string start : {"ExecStart=", " root "}) {
      const size_t at = line.find(start);
      if (at != std::string::npos) lines.push_back(line.substr(at + start.size()));
    }
  }
  return lines;
}

TEST_F(Gate, TheExamplesCommandLinesRun) {
  const RealClock clock;
  const int64_t by_ns = clock.unix_ns() - 1'795'614'915'820'998'877 - 3600 * kNsPerSecond;
  const std::string good = write("spans.otlp.jsonl", shifted(recorded_spans(), by_ns));
  const std::string bad =
      write("bad.jsonl", without("gen_ai.model.id", shifted(recorded_spans(), by_ns)));
  int lines = 0;
  for (const char* example : {"touchstone-audit.service", "touchstone-audit.cron"}) {
    for (const std::string& line : command_lines(example)) {
      ++lines;
      for (const auto& [file, code] : {std::pair(good, 0), std::pair(bad, 1)}) {
        std::string mine = line;
        const auto replace = [&](const std::string& from, const std::string& to) {
          const size_t at = mine.find(from);
          ASSERT_NE(at, std::string::npos) << mine;
          mine.replace(at, from.size(), to);
        };
        replace("/usr/bin/touchstone", support::touchstone_binary());
        replace("/var/lib/otelcol/spans.otlp.jsonl", file);
        replace("/var/lib/touchstone/audit", path("audit"));
        const auto ran =
            run_and_capture({.name = "sh", .argv = {"sh", "-c", mine}}, {clock}, 60 * kNsPerSecond);
        ASSERT_TRUE(ran.has_value());
        EXPECT_EQ(ran->status.code, code) << mine << ran->output << ran->errors;
      }
    }
  }
  EXPECT_EQ(lines, 2);
}

TEST_F(Gate, SystemdTakesTheUnits) {
  const RealClock clock;
  for (const char* unit : {"touchstone-audit.service", "touchstone-audit.timer"}) {
    auto text = read_file(support::source_dir() + "/examples/gate/" + unit);
    ASSERT_TRUE(text.has_value());
    const size_t at = text->find("/usr/bin/touchstone");
    if (at != std::string::npos) text->replace(at, 19, support::touchstone_binary());
    ASSERT_TRUE(write_file_atomic(path(unit), *text).has_value());
  }
  const auto ran =
      run_and_capture({.name = "systemd-analyze",
                       .argv = {"systemd-analyze", "verify", "--man=no",
                                path("touchstone-audit.service"), path("touchstone-audit.timer")}},
                      {clock}, 60 * kNsPerSecond);
  if (!ran) GTEST_SKIP() << "no systemd-analyze here: " << ran.error().message;
  EXPECT_EQ(ran->status.code, 0) << ran->errors;
  EXPECT_THAT(ran->errors, ::testing::Not(HasSubstr("touchstone-audit"))) << ran->errors;
}

}  // namespace
}  // namespace touchstone::harness
