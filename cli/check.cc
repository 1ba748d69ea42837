#include "cli/check.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <system_error>

#include "base/files.h"
#include "base/sha256.h"
#include "base/text.h"
#include "base/version.h"
#include "cli/collector_search.h"
#include "cli/output.h"
#include "conformance/judge.h"
#include "conformance/profile/profile.h"
#include "harness/collector/find.h"
#include "harness/evidence.h"
#include "harness/shipped.h"
#include "harness/stack/run.h"
#include "harness/suites/suite.h"
#include "reports/reports.h"
#include "simulator/compare.h"
#include "workload/workload.h"

namespace touchstone::cli {
namespace {

namespace fs = std::filesystem;

constexpr char kDefaultSuite[] = "harness/suites/quickstart.yaml";
/// The value of --collector that asks for the stand-in.
constexpr char kEmbedded[] = "embedded";
/// What starting, draining and judging take beside the load itself, for the estimate.
constexpr int64_t kOverheadNs = 2 * kNsPerSecond;

struct Flags {
  std::string suite;
  std::vector<std::string> profiles;
  std::string output = "touchstone-report";
  std::string fail_on = "MUST";
  std::string format = "text";
  std::string collector;
  std::vector<std::string> faults;
  std::optional<uint64_t> seed;
  bool keep = false;
  bool list = false;
  bool dry_run = false;
};

/// Everything that is settled before anything is started.
struct Plan {
  harness::Suite suite;
  std::vector<conformance::Profile> profiles;
  std::vector<harness::Fault> faults;
  result::Level fail_on = result::Level::kMust;
  uint64_t seed = 0;
  std::string run_folder;
};

result::Level level_of(const std::string& word) {
  if (word == "SHOULD") return result::Level::kShould;
  return word == "MAY" ? result::Level::kMay : result::Level::kMust;
}

/// DIR/run, which a new run replaces; with --keep the first of run, run-2, run-3, … that is free.
std::string run_folder_for(const Flags& flags) {
  std::error_code error;
  std::string folder = flags.output + "/run";
  for (int i = 2; flags.keep && fs::exists(folder, error); ++i) {
    folder = flags.output + "/run-" + std::to_string(i);
  }
  return folder;
}

Result<Plan> make_plan(const Flags& flags) {
  std::string path = flags.suite;
  if (path.empty()) {
    auto shipped = harness::shipped_path(harness::program_path(), kDefaultSuite);
    if (!shipped) return std::move(shipped).error();
    path = std::move(*shipped);
  }
  auto suite = harness::read_suite(path);
  if (!suite) return std::move(suite).error();
  Plan plan;
  plan.suite = std::move(*suite);
  for (const std::string& name : flags.profiles.empty() ? plan.suite.profiles : flags.profiles) {
    auto profile = conformance::load_profile(name);
    if (!profile) return std::move(profile).error();
    plan.profiles.push_back(std::move(*profile));
  }
  for (const std::string& text : flags.faults) {
    auto fault = harness::parse_fault(text);
    if (!fault) return std::move(fault).error().with_context("--fault");
    plan.faults.push_back(std::move(*fault));
  }
  plan.fail_on = level_of(flags.fail_on);
  plan.seed = flags.seed.value_or(plan.suite.load.seed);
  plan.run_folder = run_folder_for(flags);
  return plan;
}

Exit list_suites() {
  const auto shipped = harness::shipped_path(harness::program_path(), kDefaultSuite);
  if (!shipped) return report_error(shipped.error());
  std::vector<std::string> files;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(fs::path(*shipped).parent_path(), error)) {
    if (entry.path().extension() == ".yaml") files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());
  for (const std::string& file : files) {
    const auto suite = harness::read_suite(file);
    if (!suite) return report_error(suite.error());
    std::printf("%-14s %s\n", suite->name.c_str(), suite->title.c_str());
  }
  return Exit::kGood;
}

Exit print_plan(const Plan& plan) {
  const harness::Suite& suite = plan.suite;
  std::printf("suite      %s: %s\n", suite.name.c_str(), suite.title.c_str());
  std::printf("collector  %s\n", fs::path(suite.collector.config).filename().c_str());
  if (suite.subject.launch) {
    std::printf("subject    %s\n", join(suite.subject.launch->command, " ").c_str());
  } else {
    std::printf("subject    %s (attached)\n", suite.subject.attach->url.c_str());
  }
  std::printf("load       %s, model %s, seed %llu\n",
              fs::path(suite.load.workload).filename().c_str(), suite.load.model.c_str(),
              static_cast<unsigned long long>(plan.seed));
  for (const auto& profile : plan.profiles) {
    std::printf("profile    %s (%s %s)\n", profile.name.c_str(), profile.convention.c_str(),
                profile.version.c_str());
  }
  for (const auto& budget : suite.budgets) {
    std::printf("budget     %s p%s at most %s s\n", budget.phase.c_str(),
                format_double(budget.quantile * 100).c_str(),
                format_double(budget.threshold_s).c_str());
  }
  for (const auto& fault : suite.faults) std::printf("fault      %s\n", fault.text.c_str());
  for (const auto& fault : plan.faults) std::printf("fault      %s\n", fault.text.c_str());
  return Exit::kGood;
}

/// A former run's folder makes room for this one; nothing that is not a run is ever removed.
Status clear_run_folder(const std::string& folder) {
  std::error_code error;
  if (!fs::exists(folder, error)) return {};
  const bool is_run = fs::exists(folder + "/logs", error);
  if (!is_run && !fs::is_empty(folder, error)) {
    return invalid_argument(folder + ": exists and is not a run of this program",
                            "choose another --output");
  }
  fs::remove_all(folder, error);
  if (error) return io_error(folder + ": cannot remove: " + error.message());
  return {};
}

/// Lines on stderr with the seconds since the start. On a terminal all of them; elsewhere the
/// load's progress only every few seconds.
class Progress final {
 public:
  explicit Progress(const Clock& clock)
      : clock_(clock), start_ns_(clock.monotonic_ns()), terminal_(::isatty(STDERR_FILENO) == 1) {}

  void say(const std::string& text) {
    const int64_t now = clock_.monotonic_ns() - start_ns_;
    if (text.starts_with("load:") && !terminal_) {
      if (now - last_load_ns_ < 5 * kNsPerSecond) return;
      last_load_ns_ = now;
    }
    std::fprintf(stderr, "[%5.1f s] %s\n", static_cast<double>(now) / kNsPerSecond, text.c_str());
  }

 private:
  const Clock& clock_;
  const int64_t start_ns_;
  const bool terminal_;
  int64_t last_load_ns_ = 0;
};

Result<harness::RunOutcome> run_plan(const Plan& plan, const Flags& flags,
                                     std::string& collector_version) {
  auto supervisor = Supervisor::start();
  if (!supervisor) return std::move(supervisor).error();
  const harness::Supervision& supervision = (*supervisor)->supervision();
  Progress progress(supervision.clock);
  harness::RunOptions options;
  options.touchstone = harness::program_path();
  options.run_folder = plan.run_folder;
  options.faults = plan.faults;
  options.seed = plan.seed;
  options.progress = [&](const std::string& text) { progress.say(text); };
  if (flags.collector != kEmbedded) {
    const auto needed = harness::components_of_config(plan.suite.collector.config);
    if (!needed) return needed.error();
    auto binary = harness::find_collector(collector_search(flags.collector), *needed, supervision);
    if (!binary) {
      Error error = std::move(binary).error();
      error.hint += "; or `--collector embedded` for a stand-in that tests less";
      return error;
    }
    collector_version = binary->version;
    options.collector = std::move(*binary);
  }
  RETURN_IF_ERROR(clear_run_folder(plan.run_folder));
  auto outcome = harness::run_suite(plan.suite, options, supervision);
  if (!outcome && outcome.error().code == ErrorCode::kCancelled && !flags.keep) {
    std::error_code ignored;
    fs::remove_all(plan.run_folder, ignored);
    fs::remove(flags.output, ignored);  // when nothing else is in it
  }
  return outcome;
}

void add_provenance(const Plan& plan, const Flags& flags, const harness::RunOutcome& run,
                    const std::string& collector_version, result::Report& report) {
  result::Provenance& provenance = report.provenance;
  provenance.tool_version = kVersion;
  provenance.seed = plan.seed;
  provenance.command = "touchstone check";
  if (!flags.suite.empty()) provenance.command += " " + flags.suite;
  provenance.command += " --seed " + std::to_string(plan.seed);
  for (const std::string& profile : flags.profiles) provenance.command += " --profile " + profile;
  for (const std::string& fault : flags.faults) provenance.command += " --fault " + fault;
  if (!flags.collector.empty()) provenance.command += " --collector " + flags.collector;
  provenance.versions["collector"] =
      collector_version.empty() ? "none: embedded receiver" : collector_version;
  if (!run.subject_version.empty()) provenance.versions["subject"] = run.subject_version;
  for (const auto& profile : plan.profiles) {
    provenance.versions["profile " + profile.name] = profile.version;
  }
  const std::pair<const char*, std::string> inputs[] = {
      {"suite", plan.suite.file},
      {"workload", plan.suite.load.workload},
      {"collector config", plan.suite.collector.config}};
  for (const auto& [name, path] : inputs) {
    if (const auto content = read_file(path)) provenance.digests[name] = sha256_hex(*content);
  }
}

/// From the run folder to the report.
Result<result::Report> judge_run(const Plan& plan, const harness::RunOutcome& run) {
  const RealClock clock;
  auto evidence = harness::evidence_of_run(run.folder, clock.unix_ns());
  if (!evidence) return std::move(evidence).error();
  result::Report report = conformance::judge(*evidence, plan.profiles,
                                             {.budgets = plan.suite.budgets,
                                              .suppressions = plan.suite.suppressions,
                                              .fail_on = plan.fail_on});
  report.title = "check " + plan.suite.name;
  report.notes.insert(report.notes.begin(), run.notes.begin(), run.notes.end());
  report.samples = run.samples;
  std::error_code error;
  if (fs::exists(run.folder + "/" + harness::kStepsFile, error)) {
    const Status compared = simulator::add_comparison(run.folder, report);
    if (!compared) {
      // The logs are there and cannot be replayed: that is undecided, never a pass.
      report.checks.push_back({.id = "simulation.comparable",
                               .title = "The run can be simulated",
                               .group = "simulation",
                               .level = result::Level::kMust,
                               .source = "docs/invariants.md, INV-9",
                               .verdict = result::Verdict::kUnknown,
                               .reason = compared.error().message,
                               .examined = 0,
                               .findings = {}});
    }
  } else {
    report.notes.push_back("no simulation beside the measurement: the subject wrote no step log");
  }
  // Without a span nothing was decided, whatever the checks of the other signals found.
  if (const int64_t spans = conformance::span_count(*evidence); spans > 0) {
    result::decide(report, plan.fail_on);
    report.summary = conformance::summary_of(report, spans);
  }
  return report;
}

Exit run(const Flags& flags) {
  if (flags.list) return list_suites();
  const auto plan = make_plan(flags);
  if (!plan) return report_error(plan.error());
  if (flags.dry_run) return print_plan(*plan);
  const auto load = workload::read_workload(plan->suite.load.workload);
  if (!load) return report_error(load.error());
  const int64_t last_ns = load->requests.empty() ? 0 : load->requests.back().arrival_ns;
  std::fprintf(stderr, "check %s: seed %llu, about %s once the subject is up\n",
               plan->suite.name.c_str(), static_cast<unsigned long long>(plan->seed),
               format_duration((last_ns + kOverheadNs) / kNsPerSecond * kNsPerSecond).c_str());
  std::string collector_version;
  const auto outcome = run_plan(*plan, flags, collector_version);
  if (!outcome) return report_error(outcome.error());
  std::fprintf(stderr, "judging, and simulating the same load\n");
  auto report = judge_run(*plan, *outcome);
  if (!report) return report_error(report.error());
  add_provenance(*plan, flags, *outcome, collector_version, *report);
  return finish_report(*report, reports::format_of(flags.format), flags.output);
}

std::function<Exit()> set_up(CLI::App& app) {
  const auto flags = std::make_shared<Flags>();
  app.add_option("suite", flags->suite, "Suite file (default: the shipped quickstart)");
  app.add_option("--profile", flags->profiles,
                 "Judge by these profiles instead of the suite's: names or files")
      ->allow_extra_args(false);
  app.add_option("--output", flags->output, "Folder for reports and the run")
      ->capture_default_str();
  app.add_option("--fail-on", flags->fail_on,
                 "Weakest level whose findings fail: MUST, SHOULD, MAY")
      ->transform(CLI::IsMember({"MUST", "SHOULD", "MAY"}, CLI::ignore_case))
      ->capture_default_str();
  app.add_option("--format", flags->format, "What to print")
      ->check(CLI::IsMember(reports::format_words()))
      ->capture_default_str();
  app.add_option("--seed", flags->seed, "Seed of the load's trace ids (default: the suite's)");
  app.add_option("--collector", flags->collector,
                 "The Collector's binary (default: TOUCHSTONE_COLLECTOR, PATH, the cache), or "
                 "`embedded` for a stand-in that tests less");
  app.add_option("--fault", flags->faults, "Inject a fault, e.g. kill-collector@3s")
      ->allow_extra_args(false);
  app.add_flag("--keep", flags->keep,
               "Keep the run folders of former runs and of interrupted ones");
  app.add_flag("--list", flags->list, "List the shipped suites");
  app.add_flag("--dry-run", flags->dry_run, "Say what would be done");
  return [flags] { return run(*flags); };
}

}  // namespace

Verb check_verb() {
  return {"check", "Run a suite: a stack, a load, and a verdict on its telemetry",
          "touchstone check harness/suites/quickstart.yaml --output report", set_up};
}

}  // namespace touchstone::cli
