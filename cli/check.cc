#include "cli/check.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <system_error>

#include "base/text.h"
#include "cli/backend_flags.h"
#include "cli/check_several.h"
#include "cli/collector_search.h"
#include "cli/duration_flag.h"
#include "cli/output.h"
#include "cli/self_test.h"
#include "cli/server_access.h"
#include "harness/assess.h"
#include "harness/backends/delivery.h"
#include "harness/budget_outlook.h"
#include "harness/check.h"
#include "harness/shipped.h"
#include "harness/stack/plan.h"
#include "records/run_folder.h"
#include "reports/reports.h"
#include "simulator/compare.h"

namespace touchstone::cli {
namespace {

namespace fs = std::filesystem;

constexpr char kDefaultSuite[] = "harness/suites/quickstart.yaml";
/// The value of --collector that asks for the stand-in.
constexpr char kEmbedded[] = "embedded";
/// What starting, draining and judging take beside the load itself, for the estimate.
constexpr int64_t kOverheadNs = 2 * kNsPerSecond;

struct Flags {
  harness::CheckOptions options;
  std::vector<std::string> suites;
  std::string cell;
  size_t jobs = 1;
  AccessFlags access;
  std::string run;  ///< a folder to judge again
  std::string output = "touchstone-report";
  std::string fail_on = "MUST";
  std::string format = "text";
  std::string collector;
  bool keep = false;
  bool list = false;
  bool dry_run = false;
  bool self_test = false;
  BackendFlags backends;
  int64_t backend_wait_ns = 30 * kNsPerSecond;
};

/// DIR/run, which a new run replaces; with --keep the first of run, run-2, run-3, … that is free.
std::string run_folder_for(const Flags& flags) {
  std::error_code error;
  std::string folder = flags.output + "/run";
  for (int i = 2; flags.keep && fs::exists(folder, error); ++i) {
    folder = flags.output + "/run-" + std::to_string(i);
  }
  return folder;
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
    const auto cells = harness::read_cells(file);
    if (!cells) return report_error(cells.error());
    const auto suite = harness::read_suite(file, cells->front());
    if (!suite) return report_error(suite.error());
    const std::string runs =
        cells->size() > 1 ? " (" + std::to_string(cells->size()) + " runs)" : "";
    std::printf("%-14s %s%s\n", suite->name.c_str(), suite->title.c_str(), runs.c_str());
  }
  std::printf(
      "\nFaults: --fault KIND:TARGET@TIME[+DURATION][,OPTION=VALUE], TIME or FROM..TO*TIMES\n");
  for (const harness::FaultKind& kind : harness::fault_kinds()) {
    std::printf("%-14s %s\n", kind.word, kind.summary);
    std::printf("%14s on %s; proves: %s\n", "", harness::to_string(kind.target), kind.proves);
    for (const harness::FaultOption& option : kind.options) {
      std::printf("%14s %s=%s: %s\n", "", option.word, harness::fallback_text(option).c_str(),
                  option.summary);
    }
  }
  return Exit::kGood;
}

/// How the moments of drawn faults are had again.
std::string drawn_text(const harness::CheckPlan& plan) {
  return "moments of faults drawn by --seed " + std::to_string(plan.fault_seed.value_or(0));
}

/// What can be known beforehand to leave something undecided.
std::vector<std::string> warnings_of(const harness::CheckPlan& plan) {
  std::vector<std::string> warnings;
  for (const harness::Fault& fault : plan.faults) {
    if (fault.at_ns <= plan.last_arrival_ns) continue;
    warnings.push_back("the fault " + fault.text +
                       " may come too late: the last request leaves at " +
                       format_duration(plan.last_arrival_ns) +
                       ", and what was not injected leaves the verdict open");
  }
  if (!plan.samples_most) return warnings;
  for (const auto& budget : plan.suite.budgets) {
    auto warning = harness::budget_warning(budget, *plan.samples_most);
    if (warning) warnings.push_back(std::move(*warning));
  }
  return warnings;
}

Exit print_plan(const harness::CheckPlan& plan) {
  const harness::Suite& suite = plan.suite;
  std::printf("suite      %s: %s\n", suite.name.c_str(), suite.title.c_str());
  int number = 0;
  for (const harness::PlanStep& step : harness::plan_of(suite, plan.faults)) {
    std::printf("step %-2d    %s\n", ++number, step.text.c_str());
  }
  for (const auto& profile : plan.profiles) {
    std::printf("profile    %s (%s %s)\n", profile.name.c_str(), profile.convention.c_str(),
                profile.version.c_str());
  }
  for (const auto& budget : suite.budgets) {
    std::printf("budget     %s\n", harness::budget_text(budget).c_str());
  }
  if (plan.samples_most && !suite.budgets.empty()) {
    std::printf("samples    at most %s, when every request comes to what the workload expects\n",
                format_count(*plan.samples_most).c_str());
  }
  if (plan.fault_seed) std::printf("faults     %s\n", drawn_text(plan).c_str());
  for (const std::string& warning : warnings_of(plan)) {
    std::printf("warning    %s\n", warning.c_str());
  }
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

std::string command_of(const Flags& flags) {
  std::string command = "touchstone check";
  const auto add = [&](const char* flag, const std::string& value) {
    if (!value.empty()) command += std::string(" ") + flag + " " + shell_word(value);
  };
  if (!flags.options.suite.empty()) command += " " + shell_word(flags.options.suite);
  add("--cell", flags.cell);
  add("--run", flags.run);
  if (flags.options.seed) add("--seed", std::to_string(*flags.options.seed));
  for (const std::string& profile : flags.options.profiles) add("--profile", profile);
  for (const std::string& fault : flags.options.faults) add("--fault", fault);
  add("--collector", flags.collector);
  for (const std::string& backend : flags.backends.backends) add("--backend", backend);
  return command;
}

/// Whether the run's spans are in each of the backends.
Result<std::vector<result::CheckOutcome>> delivered(const records::RunFolder& run,
                                                    const Flags& flags,
                                                    const harness::Supervision& supervision) {
  const auto backends = resolve(flags.backends, flags.access.tls);
  if (!backends) return backends.error();
  std::vector<result::CheckOutcome> outcomes;
  for (const harness::BackendAddress& address : *backends) {
    auto outcome = harness::delivered_to(address, run, flags.backend_wait_ns, supervision);
    if (!outcome) return std::move(outcome).error();
    outcomes.push_back(*std::move(outcome));
  }
  return outcomes;
}

Exit judge(const records::RunFolder& run, const harness::CheckPlan& plan, const Flags& flags,
           const harness::Supervision& supervision) {
  auto more = delivered(run, flags, supervision);
  if (!more) return report_error(more.error());
  auto report = harness::assess(run, {.profiles = plan.profiles,
                                      .judge = judge_options(plan, level_of(flags.fail_on)),
                                      .owed = plan.owed,
                                      .simulate = simulator::add_comparison,
                                      .now_unix_ns = RealClock().unix_ns(),
                                      .more = *std::move(more)});
  if (!report) return report_error(report.error());
  report->provenance.command = command_of(flags);
  return finish_report(std::move(*report), reports::format_of(flags.format), flags.output);
}

Exit judge_again(const Flags& flags) {
  const auto folder = records::open_run_folder(flags.run);
  if (!folder) return report_error(folder.error());
  const auto plan = harness::plan_of_run(*folder, flags.options);
  if (!plan) return report_error(plan.error());
  const RealClock clock;
  return judge(*folder, *plan, flags, {clock});
}

Exit run_and_judge(Flags& flags) {
  harness::CheckOptions options = flags.options;
  if (options.suite.empty()) {
    auto shipped = harness::shipped_path(harness::program_path(), kDefaultSuite);
    if (!shipped) return report_error(shipped.error());
    options.suite = std::move(*shipped);
  }
  auto access = resolve(flags.access, "check");
  if (!access) return report_error(access.error());
  if (const auto backends = resolve(flags.backends, flags.access.tls); !backends) {
    return report_error(backends.error());
  }
  options.access = std::move(*access);
  options.run_folder = run_folder_for(flags);
  options.embedded = flags.collector == kEmbedded;
  options.collector = collector_search(flags.collector);
  options.touchstone = harness::program_path();
  const auto plan = harness::plan_check(options);
  if (!plan) return report_error(plan.error());
  if (flags.dry_run) return print_plan(*plan);
  std::fprintf(
      stderr, "check %s: about %s once the subject is up\n", plan->suite.name.c_str(),
      format_duration((plan->last_arrival_ns + kOverheadNs) / kNsPerSecond * kNsPerSecond).c_str());
  if (plan->fault_seed) std::fprintf(stderr, "check: %s\n", drawn_text(*plan).c_str());
  for (const std::string& warning : warnings_of(*plan)) {
    std::fprintf(stderr, "warning: %s\n", warning.c_str());
  }
  auto supervisor = Supervisor::start();
  if (!supervisor) return report_error(supervisor.error());
  Progress progress((*supervisor)->supervision().clock);
  const auto folder = harness::run_check(
      *plan, options, flags.keep ? harness::Cancelled::kKeep : harness::Cancelled::kDiscard,
      [&](const std::string& text) { progress.say(text); }, (*supervisor)->supervision());
  if (!folder) {
    std::error_code ignored;
    fs::remove(flags.output, ignored);  // when nothing is in it
    return report_error(folder.error());
  }
  std::fprintf(stderr, "judging, and simulating the same load\n");
  return judge((*folder)->written(), *plan, flags, (*supervisor)->supervision());
}

/// Flags of each of several runs.
std::vector<std::string> shared_flags(const Flags& flags) {
  std::vector<std::string> shared = {"--fail-on", flags.fail_on};
  const auto add = [&](const char* flag, const std::string& value) {
    if (!value.empty()) shared.insert(shared.end(), {flag, value});
  };
  if (flags.options.seed) add("--seed", std::to_string(*flags.options.seed));
  for (const std::string& profile : flags.options.profiles) add("--profile", profile);
  for (const std::string& fault : flags.options.faults) add("--fault", fault);
  add("--collector", flags.collector);
  if (flags.keep) shared.emplace_back("--keep");
  return shared;
}

/// Every cell of every suite, planned, so that what is written wrong is said before anything runs.
Exit run_all(const std::vector<SuiteCell>& suites, const Flags& flags) {
  for (const SuiteCell& suite : suites) {
    harness::CheckOptions options = flags.options;
    options.suite = suite.suite;
    options.cell = suite.cell;
    const auto plan = harness::plan_check(options);
    if (!plan) return report_error(plan.error());
    if (!flags.dry_run) continue;
    if (!suite.cell.empty()) std::printf("cell       %s\n", harness::to_string(suite.cell).c_str());
    print_plan(*plan);
    std::printf("\n");
  }
  if (flags.dry_run) return Exit::kGood;
  return check_several({.suites = suites,
                        .output = flags.output,
                        .flags = shared_flags(flags),
                        .access = flags.access,
                        .jobs = flags.jobs});
}

Exit run_suites(Flags& flags) {
  std::vector<SuiteCell> suites;
  for (const std::string& suite : flags.suites) {
    const auto cells = harness::read_cells(suite);
    if (!cells) return report_error(cells.error());
    for (const harness::Cell& cell : *cells) suites.push_back({suite, cell});
  }
  if (!flags.cell.empty()) {
    auto cell = harness::parse_cell(flags.cell);
    if (!cell) return report_error(std::move(cell).error().with_context("--cell"));
    if (flags.suites.size() != 1) {
      return report_error(invalid_argument("check: --cell: expected one suite"));
    }
    const auto known = std::find_if(suites.begin(), suites.end(),
                                    [&](const SuiteCell& one) { return one.cell == *cell; });
    if (known == suites.end()) {
      return report_error(invalid_argument("check: --cell: got " + quote(flags.cell) +
                                           ", which is none of the suite's matrix"));
    }
    suites = {SuiteCell(*known)};
  }
  if (suites.size() > 1) return run_all(suites, flags);
  if (!suites.empty()) {
    flags.options.suite = suites.front().suite;
    flags.options.cell = suites.front().cell;
  }
  return run_and_judge(flags);
}

Exit run(Flags& flags) {
  if (flags.list) return list_suites();
  if (flags.self_test) return self_test(flags.options.profiles, flags.format);
  if (flags.run.empty()) return run_suites(flags);
  if (flags.suites.size() > 1) {
    return report_error(invalid_argument("check: --run: got several suites, expected one"));
  }
  if (!flags.suites.empty()) flags.options.suite = flags.suites.front();
  return judge_again(flags);
}

std::function<Exit()> set_up(CLI::App& app) {
  const auto flags = std::make_shared<Flags>();
  app.add_option("suite", flags->suites,
                 "Suite files (default: the shipped quickstart); of several, or of a suite with a "
                 "matrix, each run has its folder in the output");
  app.add_option("--jobs", flags->jobs, "Of several runs, so many at a time")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  app.add_option("--cell", flags->cell, "One cell of the suite's matrix: AXIS=WORD,AXIS=WORD");
  app.add_option("--profile", flags->options.profiles,
                 "Judge by these profiles instead of the suite's: names or files")
      ->allow_extra_args(false);
  app.add_option("--output", flags->output, "Folder for reports and the run")
      ->check(path_to_write())
      ->capture_default_str();
  add_fail_on_flag(app, flags->fail_on);
  app.add_option("--format", flags->format, "What to print")
      ->check(CLI::IsMember(reports::format_words()))
      ->capture_default_str();
  app.add_option("--seed", flags->options.seed,
                 "Seed of the load's trace ids (default: the suite's)");
  app.add_option("--collector", flags->collector,
                 "The Collector's binary (default: TOUCHSTONE_COLLECTOR, PATH, the cache), or "
                 "`embedded` for a stand-in that tests less");
  app.add_option(
         "--fault", flags->options.faults,
         "Inject a fault: KIND:TARGET@TIME[+DURATION], e.g. kill:collector@3s, "
         "stop:subject@2s+500ms, slow:subject/collector@1s,latency=50ms, or at moments that "
         "the seed draws: restart:collector@1s..9s*3; --list says which there are")
      ->allow_extra_args(false);
  app.add_option("--run", flags->run,
                 "Judge the run in this folder again, by its own suite and profiles or by those "
                 "given here; starts nothing")
      ->type_name("FOLDER");
  add_access_flags(app, flags->access);
  add_backend_flags(app, flags->backends);
  add_duration_flag(app, "--backend-wait", flags->backend_wait_ns,
                    "For a backend to show what it took");
  app.add_flag("--keep", flags->keep,
               "Keep the run folders of former runs and of interrupted ones");
  app.add_flag("--list", flags->list, "List the shipped suites, and the faults there are");
  app.add_flag("--dry-run", flags->dry_run, "Say what would be done");
  app.add_flag("--self-test", flags->self_test,
               "Judge the checks: damage good telemetry in every way and see what they find; with "
               "--profile, of the telemetry that this profile judges");
  return [flags] { return run(*flags); };
}

}  // namespace

Verb check_verb() {
  return {"check", "Run a suite: a stack, a load, and a verdict on its telemetry",
          "touchstone check harness/suites/quickstart.yaml --output report", set_up};
}

}  // namespace touchstone::cli
