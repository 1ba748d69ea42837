#include "harness/suites/suite.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "harness/stack/plan.h"
#include "harness/stack/wires.h"
#include "tests/support/json_schema.h"
#include "tests/support/paths.h"

namespace touchstone::harness {
namespace {

constexpr char kGood[] = R"(schema: 1
name: tiny
subject:
  engine: touchstone
  launch:
    command: ["${touchstone}", serve, --port, "${subject.port}"]
    environment: {OTEL_SERVICE_NAME: tiny}
    ready_within: 10s
collector:
  config: collector.yaml
  environment: {DEPLOYMENT_REGION: here}
load:
  workload: load.jsonl
  model: tiny
  seed: 7
  samples: [one]
profiles: [vllm-v1, ./own.yaml]
budgets:
  - {phase: ttft, quantile: 0.95, at_most: 500ms, min_samples: 20}
suppressions:
  - {check: span.kind, subject: llm, reason: known, expires: "2027-01-31"}
faults: [kill-collector@3s]
)";

class SuiteFile : public ::testing::Test {
 protected:
  void SetUp() override {
    auto made = TemporaryDirectory::make("touchstone-suite-test");
    ASSERT_TRUE(made);
    folder_ = std::make_unique<TemporaryDirectory>(std::move(*made));
    ASSERT_TRUE(write_file_atomic(folder_->path() + "/collector.yaml", "x"));
    ASSERT_TRUE(write_file_atomic(folder_->path() + "/load.jsonl", "x"));
  }
  Result<Suite> read(const std::string& text) {
    const std::string path = folder_->path() + "/suite.yaml";
    EXPECT_TRUE(write_file_atomic(path, text));
    return read_suite(path);
  }
  /// kGood with `from` replaced by `to`; `from` must be there.
  Result<Suite> changed(const std::string& from, const std::string& to) {
    std::string text = kGood;
    const size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return read(text.replace(at, from.size(), to));
  }
  std::unique_ptr<TemporaryDirectory> folder_;
};

TEST_F(SuiteFile, EveryFieldArrives) {
  const auto suite = read(kGood);
  ASSERT_TRUE(suite) << suite.error().message;
  EXPECT_EQ(suite->name, "tiny");
  EXPECT_EQ(suite->folder, folder_->path());
  ASSERT_EQ(suite->subjects.size(), 1u);
  EXPECT_EQ(suite->subjects[0].name, "subject") << "schema 1 knows one";
  const auto& launch = suite->subjects[0].launch;
  ASSERT_TRUE(launch);
  EXPECT_EQ(launch->command.size(), 4u);
  EXPECT_EQ(launch->environment.at("OTEL_SERVICE_NAME"), "tiny");
  EXPECT_EQ(launch->ready_within_ns, 10 * kNsPerSecond);
  EXPECT_EQ(suite->collector.config, folder_->path() + "/collector.yaml");
  EXPECT_EQ(suite->collector.environment.at("DEPLOYMENT_REGION"), "here");
  ASSERT_EQ(suite->loads.size(), 1u);
  EXPECT_EQ(suite->loads[0].workload, folder_->path() + "/load.jsonl");
  EXPECT_EQ(suite->loads[0].subject, "subject");
  EXPECT_EQ(suite->loads[0].model, "tiny");
  EXPECT_EQ(suite->loads[0].seed, 7u);
  EXPECT_EQ(suite->profiles, (std::vector<std::string>{"vllm-v1", folder_->path() + "/own.yaml"}));
  EXPECT_EQ(suite->primary, "vllm-v1") << "the first";
  EXPECT_EQ(suite->answered_share, 1);
  ASSERT_EQ(suite->budgets.size(), 1u);
  EXPECT_EQ(suite->budgets[0].phase, "ttft");
  EXPECT_DOUBLE_EQ(suite->budgets[0].threshold_s, 0.5);
  EXPECT_EQ(suite->budgets[0].min_samples, 20);
  ASSERT_EQ(suite->suppressions.size(), 1u);
  // 2027-02-01T00:00:00Z: the last day still counts.
  EXPECT_EQ(suite->suppressions[0].expires_unix_ns, 1801440000 * kNsPerSecond);
  EXPECT_EQ(suite->suppressions[0].where, folder_->path() + "/suite.yaml:21");
  ASSERT_EQ(suite->faults.size(), 1u);
  EXPECT_STREQ(suite->faults[0].kind->word, "kill");
  EXPECT_EQ(suite->faults[0].target, "collector");
  EXPECT_EQ(suite->faults[0].at_ns, 3 * kNsPerSecond);
}

TEST_F(SuiteFile, BadRowsSayWhereAndWhat) {
  const struct {
    std::string from;
    std::string to;
    std::string expected;  ///< part of the message
  } rows[] = {
      {"schema: 1", "schema: 3", "suite.yaml:1: schema: got 3, expected 1 to 2"},
      {"schema: 1\n", "", "schema"},
      {"name: tiny\n", "", "name"},
      {"name: tiny\n", "name: tiny\ntitel: Tiny\n", "titel"},
      {"seed: 7", "sed: 7", "sed"},
      {"seed: 7", "seed: many", "seed: got \"many\""},
      {"seed: 7", "seed: -1", "seed: got -1"},
      {"collector.yaml", "none.yaml", "suite.yaml:10: collector.config: got \"none.yaml\""},
      {"workload: load.jsonl", "workload: none.jsonl", "load.workload: got \"none.jsonl\""},
      {"${subject.port}", "${subjct.port}", "got ${subjct.port}, expected one of"},
      {"${subject.port}", "${subject.port", "expected `}`"},
      {"OTEL_SERVICE_NAME: tiny", "OTEL_SERVICE_NAME: \"${x}\"", "got ${x}"},
      {"ready_within: 10s", "ready_within: 10", "ready_within"},
      {"ready_within: 10s", "ready_within: 0s", "ready_within: got 0 or less"},
      {"  launch:\n", "  attach: {url: \"http://127.0.0.1:1\"}\n  launch:\n", "got both"},
      {"profiles: [vllm-v1, ./own.yaml]", "profiles: []", "profiles: got none"},
      {"profiles: [vllm-v1, ./own.yaml]\n", "", "profiles: got none"},
      {"phase: ttft", "phase: tttf", "phase: got \"tttf\""},
      {"quantile: 0.95", "quantile: 95", "quantile: got 95"},
      {"at_most: 500ms", "at_most: 500", "at_most"},
      {"at_most: 500ms, ", "", "at_most: missing"},
      {"reason: known", "reason: \" \"", "reason: got nothing"},
      {"reason: known, ", "", "reason"},
      {"\"2027-01-31\"", "\"2027-02-31\"", "expires: got \"2027-02-31\""},
      {", expires: \"2027-01-31\"", "", "expires"},
      {"check: span.kind", "check: s", "check: got \"s\", expected the id of a check"},
      {"check: span.kind", "check: \"\"", "check: got \"\", expected the id of a check"},
      {"\"2027-01-31\"", "soon", "expires: got \"soon\""},
      {"kill-collector@3s", "burn-collector@3s", "got \"burn\", expected kill, stop, restart"},
      {"kill-collector@3s", "kill-engine@3s", "expected one of: collector, subject"},
      {"kill-collector@3s", "kill-collector", "got no @TIME"},
      {"kill-collector@3s", "kill-collector@3", "fault"},
      {"name: tiny\n", "name: tiny\nanswered_share: 0.5\n", "answered_share"},
  };
  for (const auto& row : rows) {
    const auto suite = changed(row.from, row.to);
    ASSERT_FALSE(suite) << row.from << " -> " << row.to;
    EXPECT_NE(suite.error().message.find(row.expected), std::string::npos)
        << row.to << ": " << suite.error().message;
    EXPECT_EQ(suite.error().code, ErrorCode::kInvalidArgument) << suite.error().message;
  }
}

constexpr char kTwo[] = R"(schema: 2
name: two
subjects:
  - name: stable
    launch: {command: ["${touchstone}", serve, "${subject.name}"]}
  - name: canary
    attach: {url: "https://host/v1"}
collector: {config: collector.yaml}
loads:
  - {subject: canary, workload: load.jsonl, seed: 3, sampled: 0.25}
  - {subject: stable, workload: load.jsonl, model: m}
faults:
  - {fault: stop, target: stable, at: 2s, for: 500ms}
  - {fault: kill, target: collector, at: 3s}
profiles: [vllm-v1, ./own.yaml]
primary: ./own.yaml
answered_share: 0.75
)";

TEST_F(SuiteFile, SeveralSubjectsLoadsFaultsAndProfiles) {
  const auto suite = read(kTwo);
  ASSERT_TRUE(suite) << suite.error().message;
  ASSERT_EQ(suite->subjects.size(), 2u);
  EXPECT_EQ(suite->subjects[0].name, "stable");
  EXPECT_EQ(suite->subjects[1].attach->url, "https://host/v1");
  ASSERT_EQ(suite->loads.size(), 2u);
  EXPECT_EQ(suite->loads[0].subject, "canary");
  EXPECT_EQ(suite->loads[0].model, "") << "the one that is served";
  EXPECT_EQ(suite->loads[0].sampled_per_million, 250'000);
  EXPECT_EQ(suite->loads[1].subject, "stable");
  ASSERT_EQ(suite->faults.size(), 2u);
  EXPECT_STREQ(suite->faults[0].kind->word, "stop");
  EXPECT_EQ(suite->faults[0].target, "stable");
  EXPECT_EQ(suite->faults[0].lasts_ns, 500 * kNsPerMs);
  EXPECT_EQ(suite->profiles, (std::vector<std::string>{"vllm-v1", folder_->path() + "/own.yaml"}));
  EXPECT_EQ(suite->primary, folder_->path() + "/own.yaml");
  EXPECT_EQ(suite->answered_share, 0.75);
  EXPECT_EQ(
      support::schema_problems("harness/suites/suite.schema.json", support::yaml_as_json(kTwo)),
      std::vector<std::string>());
}

TEST_F(SuiteFile, BadRowsOfSchema2SayWhereAndWhat) {
  const struct {
    std::string from;
    std::string to;
    std::string expected;
  } rows[] = {
      {"name: canary", "name: stable", "got \"stable\" twice"},
      {"name: canary", "name: collector", "and none of: backend, client, collector"},
      {"name: canary", "name: \"a b\"", "got \"a b\", expected letters"},
      {"{subject: canary,", "{subject: other,", "expected one of: canary, stable"},
      {"{subject: canary,", "{", "subject: missing"},
      {"sampled: 0.25", "sampled: 2", "sampled: got 2"},
      {"fault: stop", "fault: halt", "got \"halt\", expected kill, stop, restart"},
      {"target: stable", "target: canary", "got the target \"canary\""},
      {"target: stable, ", "", "got the target \"\""},
      {"at: 3s}", "at: 3s, for: 1s}", "this kind does not last"},
      {"for: 500ms", "for: 0s", "got a duration of 0 or less"},
      {"primary: ./own.yaml", "primary: other", "primary: got \"other\""},
      {"answered_share: 0.75", "answered_share: 75", "answered_share: got 75, expected a share"},
      {"answered_share: 0.75", "answered_share: most", "answered_share: got \"most\""},
      {"subjects:", "subject:", "subjects: got none"},
      {"loads:", "load:", "loads: got none"},
  };
  for (const auto& row : rows) {
    std::string text = kTwo;
    const size_t at = text.find(row.from);
    ASSERT_NE(at, std::string::npos) << row.from;
    const auto suite = read(text.replace(at, row.from.size(), row.to));
    ASSERT_FALSE(suite) << row.to;
    EXPECT_NE(suite.error().message.find(row.expected), std::string::npos)
        << row.to << ": " << suite.error().message;
  }
}

TEST_F(SuiteFile, ARecordedCopyNeedsNothingThatItNames) {
  const std::string copy = folder_->path() + "/copy.yaml";
  ASSERT_TRUE(write_file_atomic(copy, kTwo));
  const auto suite = read_recorded_suite(copy, "/elsewhere/two.yaml");
  ASSERT_TRUE(suite) << suite.error().message;
  EXPECT_EQ(suite->profiles[1], "/elsewhere/own.yaml");
  EXPECT_EQ(suite->primary, "/elsewhere/own.yaml");
}

TEST_F(SuiteFile, ThePlanStartsWhatIsUsedFirstAndStopsItLast) {
  const auto suite = read(kTwo);
  ASSERT_TRUE(suite) << suite.error().message;
  std::vector<std::string> order;
  for (const PlanStep& step : plan_of(*suite, suite->faults)) {
    order.push_back(std::to_string(static_cast<int>(step.stage)) + " " + step.part);
    if (step.part != "load") continue;
    EXPECT_THAT(step.text, testing::HasSubstr("load.jsonl to canary, the model it serves, seed 3"));
    EXPECT_THAT(step.text, testing::HasSubstr("fault stop:stable@2s+500ms"));
  }
  EXPECT_THAT(order,
              testing::ElementsAre("0 collector", "0 stable", "0 canary", "1 stable", "1 canary",
                                   "0 load", "2 stable", "2 canary", "3 stable", "3 collector"));
}

/// kTwo with a backend, wires, drawn moments and clients of every kind.
std::string faulty_text() {
  std::string text = kTwo;
  const size_t at = text.find("  - {fault: kill, target: collector, at: 3s}\n");
  text.insert(at,
              "  - {fault: slow, target: stable/collector, at: 1s, with: {latency: 50ms, "
              "bytes_per_s: 2000}}\n"
              "  - {fault: throttle, target: client/stable, at: 1s, for: 1s}\n"
              "  - {fault: restart, target: backend, at: 1s, until: 9s, times: 3}\n");
  const std::string load = "workload: load.jsonl, model: m";
  text.replace(text.find(load), load.size(),
               load +
                   ", clients: 8, slow_clients: {share: 0.5, read_pause: 20ms}, "
                   "vanishing_clients: {share: 0.25, within: 3s}");
  return text + "backend: {stop_within: 5s}\ncount_hops: true\n";
}

TEST_F(SuiteFile, FaultsOnTheWayDrawnMomentsAndOddClients) {
  const auto suite = read(faulty_text());
  ASSERT_TRUE(suite) << suite.error().message;
  EXPECT_EQ(suite->backend->stop_within_ns, 5 * kNsPerSecond);
  EXPECT_TRUE(suite->count_hops);
  ASSERT_EQ(suite->faults.size(), 5u);
  EXPECT_EQ(suite->faults[1].value("latency"), 50 * kNsPerMs);
  EXPECT_EQ(suite->faults[1].value("bytes_per_s"), 2000);
  EXPECT_EQ(suite->faults[3].times, 3);
  EXPECT_EQ(suite->faults[3].until_ns, 9 * kNsPerSecond);
  EXPECT_EQ(suite->loads[0].clients, std::nullopt);
  const LoadPlan& odd = suite->loads[1];
  EXPECT_EQ(odd.clients, 8);
  EXPECT_EQ(odd.manners.slow_per_million, 500'000);
  EXPECT_EQ(odd.manners.read_pause_ns, 20 * kNsPerMs);
  EXPECT_EQ(odd.manners.vanish_per_million, 250'000);
  EXPECT_EQ(odd.manners.vanish_within_ns, 3 * kNsPerSecond);
  EXPECT_EQ(support::schema_problems("harness/suites/suite.schema.json",
                                     support::yaml_as_json(faulty_text())),
            std::vector<std::string>());
  std::vector<std::string> order;
  for (const PlanStep& step : plan_of(*suite, suite->faults)) {
    if (step.stage == Stage::kStart) order.push_back(step.part);
  }
  EXPECT_THAT(order, testing::ElementsAre("client/stable", "stable/collector", "collector/backend",
                                          "backend", "collector", "stable", "canary", "load"));
}

TEST_F(SuiteFile, WiresAreThereOnlyWhereTheyAreWanted) {
  const auto suite = read(kTwo);
  ASSERT_TRUE(suite);
  EXPECT_TRUE(wires_of(*suite, suite->faults).empty());
  const auto reset = parse_fault("reset:stable/collector@1s");
  const auto clock = parse_fault("clock:stable/collector@1s");
  ASSERT_TRUE(reset && clock);
  ASSERT_EQ(wires_of(*suite, {*reset}).size(), 1u);
  EXPECT_FALSE(wires_of(*suite, {*reset})[0].gate) << "bytes alone need no receiver";
  EXPECT_TRUE(wires_of(*suite, {*clock})[0].gate);
}

TEST_F(SuiteFile, AMatrixIsEveryChoiceAndItsPlacesAreFilled) {
  const std::string path = folder_->path() + "/suite.yaml";
  std::string text = kTwo;
  text.replace(text.find("primary: ./own.yaml"), 19, "primary: \"${matrix.profile}\"");
  text += "matrix: {profile: [vllm-v1, ./own.yaml], sampled: [\"0.5\", \"1\"]}\n";
  const std::string load = "{subject: canary, workload: load.jsonl, seed: 3, sampled: 0.25}";
  text.replace(text.find(load), load.size(),
               "subject: canary\n    workload: load.jsonl\n    sampled: ${matrix.sampled}");
  ASSERT_TRUE(write_file_atomic(path, text));
  const auto cells = read_cells(path);
  ASSERT_TRUE(cells) << cells.error().message;
  std::vector<std::string> names;
  for (const Cell& cell : *cells) {
    names.push_back(to_string(cell));
    EXPECT_EQ(*parse_cell(names.back()), cell);
  }
  EXPECT_THAT(names, testing::ElementsAre(
                         "profile=vllm-v1,sampled=0.5", "profile=vllm-v1,sampled=1",
                         "profile=./own.yaml,sampled=0.5", "profile=./own.yaml,sampled=1"));
  const auto suite = read_suite(path, cells->at(2));
  ASSERT_TRUE(suite) << suite.error().message;
  EXPECT_EQ(suite->primary, folder_->path() + "/own.yaml");
  EXPECT_EQ(suite->loads[0].sampled_per_million, 500'000);
  EXPECT_THAT(suite->text, testing::Not(testing::HasSubstr("${matrix.")));
  ASSERT_TRUE(write_file_atomic(path, suite->text));
  EXPECT_TRUE(read_recorded_suite(path, path)) << "the copy of a run needs no cell";
  ASSERT_TRUE(write_file_atomic(path, text));
  const auto none = read_suite(path);
  ASSERT_FALSE(none);
  EXPECT_THAT(none.error().message, testing::HasSubstr("suite.yaml:12: got ${matrix.sampled}"));
  EXPECT_THAT(none.error().hint, testing::HasSubstr("--cell"));
}

TEST_F(SuiteFile, OneThatIsNotThereIsNotFound) {
  const auto suite = read_suite(folder_->path() + "/none.yaml");
  ASSERT_FALSE(suite);
  EXPECT_EQ(suite.error().code, ErrorCode::kNotFound);
}

TEST_F(SuiteFile, AttachNeedsAUrl) {
  const std::string good = kGood;
  const size_t begin = good.find("  launch:");
  const size_t end = good.find("collector:\n");
  const auto with = [&](const std::string& subject) {
    return read(good.substr(0, begin) + subject + good.substr(end));
  };
  const auto attached = with("  attach: {url: \"http://127.0.0.1:8000\", flush_within: 3s}\n");
  ASSERT_TRUE(attached) << attached.error().message;
  EXPECT_EQ(attached->subjects[0].attach->url, "http://127.0.0.1:8000");
  EXPECT_EQ(attached->subjects[0].attach->flush_within_ns, 3 * kNsPerSecond);
  EXPECT_FALSE(with("  attach: {url: \"127.0.0.1:8000\"}\n"));
  EXPECT_FALSE(with("  attach: {}\n"));
  EXPECT_FALSE(with(""));
}

TEST(FillPlaces, PutsEveryValueInItsPlace) {
  const std::map<std::string, std::string> values = {{"a", "1"}, {"b.c", "${a}"}};
  EXPECT_EQ(*fill_places("x${a}y${b.c}z$", values), "x1y${a}z$");
  EXPECT_EQ(*fill_places("", values), "");
  EXPECT_FALSE(fill_places("${}", values));
}

TEST(ShippedSuites, CanBeRead) {
  std::vector<std::string> names;
  const std::string folder = support::source_dir() + "/harness/suites";
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".yaml") continue;
    const auto cells = read_cells(entry.path().string());
    ASSERT_TRUE(cells) << cells.error().message;
    const auto suite = read_suite(entry.path().string(), cells->front());
    ASSERT_TRUE(suite) << suite.error().message;
    EXPECT_EQ(suite->name, entry.path().stem().string());
    EXPECT_FALSE(suite->profiles.empty());
    names.push_back(suite->name);
  }
  EXPECT_THAT(names, testing::UnorderedElementsAre("chaos", "matrix", "quickstart", "vllm"));
}

constexpr char kSchema[] = "harness/suites/suite.schema.json";

TEST(SuiteSchema, TakesEveryShippedSuite) {
  for (const char* name : {"chaos", "matrix", "quickstart", "vllm"}) {
    const auto text =
        read_file(support::source_dir() + "/harness/suites/" + std::string(name) + ".yaml");
    ASSERT_TRUE(text) << text.error().message;
    EXPECT_EQ(support::schema_problems(kSchema, support::yaml_as_json(*text)),
              std::vector<std::string>())
        << name;
  }
}

TEST(SuiteSchema, RefusesUnknownKeysAndWrongTypes) {
  const nlohmann::json good = support::yaml_as_json(kGood);
  EXPECT_EQ(support::schema_problems(kSchema, good), std::vector<std::string>());
  const std::pair<const char*, nlohmann::json> bad[] = {
      {"/colour", "blue"},      {"/schema", "1"},         {"/subject/colour", "blue"},
      {"/load/colour", "blue"}, {"/answered_share", 0.5},  // of schema 2
      {"/profiles", 7}};
  for (const auto& [pointer, value] : bad) {
    nlohmann::json odd = good;
    odd[nlohmann::json::json_pointer(pointer)] = value;
    EXPECT_NE(support::schema_problems(kSchema, odd), std::vector<std::string>()) << pointer;
  }
}

}  // namespace
}  // namespace touchstone::harness
