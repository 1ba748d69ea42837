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
#include "harness/assess.h"
#include "harness/collector/find.h"
#include "harness/shipped.h"
#include "harness/stack/run.h"
#include "harness/suites/suite.h"
#include "records/run_folder.h"
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
  if (trim(flags.output).empty()) {
    return invalid_argument("check: --output: got an empty path, expected a folder");
  }
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

Result<std::optional<harness::CollectorBinary>> find_collector(
    const Plan& plan, const Flags& flags, const harness::Supervision& supervision) {
  if (flags.collector == kEmbedded) return std::optional<harness::CollectorBinary>();
  const auto needed = harness::components_of_config(plan.suite.collector.config);
  if (!needed) return needed.error();
  auto binary = harness::find_collector(collector_search(flags.collector), *needed, supervision);
  if (!binary) {
    Error error = std::move(binary).error();
    error.hint += "; or `--collector embedded` for a stand-in that tests less";
    return error;
  }
  return std::optional(std::move(*binary));
}

/// What was run with what, for the manifest.
Status describe_run(const Plan& plan, records::RunFolderWriter& folder) {
  records::RunManifest& manifest = folder.manifest();
  manifest.verb = "check";
  manifest.name = plan.suite.name;
  manifest.suite = plan.suite.file;
  manifest.seed = plan.seed;
  manifest.versions["touchstone"] = kVersion;
  for (const auto& profile : plan.profiles) {
    manifest.versions["profile " + profile.name] = profile.version;
  }
  const std::pair<const char*, std::string> inputs[] = {
      {"suite", plan.suite.file},
      {"workload", plan.suite.load.workload},
      {"collector config", plan.suite.collector.config}};
  for (const auto& [name, path] : inputs) {
    const auto content = read_file(path);
    if (!content) return content.error();
    manifest.digests[name] = sha256_hex(*content);
  }
  return {};
}

/// Runs the suite; the folder is then finished, and locked while it is judged.
Result<std::unique_ptr<records::RunFolderWriter>> run_plan(const Plan& plan, const Flags& flags) {
  auto supervisor = Supervisor::start();
  if (!supervisor) return std::move(supervisor).error();
  const harness::Supervision& supervision = (*supervisor)->supervision();
  Progress progress(supervision.clock);
  auto collector = find_collector(plan, flags, supervision);
  if (!collector) return std::move(collector).error();
  auto folder =
      records::RunFolderWriter::create(plan.run_folder, records::RunFolderWriter::Former::kReplace);
  if (!folder) return std::move(folder).error();
  RETURN_IF_ERROR(describe_run(plan, **folder));
  (*folder)->manifest().versions["collector"] =
      *collector ? (*collector)->version : "none: embedded receiver";
  harness::RunOptions options;
  options.touchstone = harness::program_path();
  options.collector = std::move(*collector);
  options.faults = plan.faults;
  options.seed = plan.seed;
  options.progress = [&](const std::string& text) { progress.say(text); };
  Status ran = harness::run_suite(plan.suite, options, **folder, supervision);
  if (!ran && ran.error().code == ErrorCode::kCancelled && !flags.keep) {
    (*folder)->discard();
    std::error_code ignored;
    fs::remove(flags.output, ignored);  // when nothing else is in it
  }
  RETURN_IF_ERROR(std::move(ran));
  RETURN_IF_ERROR((*folder)->finish());
  return folder;
}

std::string command_of(const Plan& plan, const Flags& flags) {
  std::string command = "touchstone check";
  if (!flags.suite.empty()) command += " " + shell_word(flags.suite);
  command += " --seed " + std::to_string(plan.seed);
  for (const std::string& profile : flags.profiles) command += " --profile " + shell_word(profile);
  for (const std::string& fault : flags.faults) command += " --fault " + shell_word(fault);
  if (!flags.collector.empty()) command += " --collector " + shell_word(flags.collector);
  return command;
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
  const auto folder = run_plan(*plan, flags);
  if (!folder) return report_error(folder.error());
  std::fprintf(stderr, "judging, and simulating the same load\n");
  auto report = harness::assess((*folder)->written(), {.profiles = plan->profiles,
                                                       .budgets = plan->suite.budgets,
                                                       .suppressions = plan->suite.suppressions,
                                                       .fail_on = plan->fail_on,
                                                       .simulate = simulator::add_comparison,
                                                       .now_unix_ns = RealClock().unix_ns()});
  if (!report) return report_error(report.error());
  report->provenance.command = command_of(*plan, flags);
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
