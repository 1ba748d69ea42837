#include "harness/check.h"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <system_error>
#include <utility>

#include "base/files.h"
#include "base/sha256.h"
#include "base/version.h"
#include "conformance/matching.h"
#include "conformance/profile_set.h"
#include "harness/collector/config.h"
#include "harness/evidence.h"
#include "harness/load/planned.h"
#include "harness/stack/run.h"
#include "harness/whole_run.h"
#include "workload/workload.h"

namespace touchstone::harness {
namespace {

namespace run_files = records::run_files;

/// The suite's primary one leads where it is among them, else the first.
Status load_profiles(const std::vector<std::string>& names, CheckPlan& plan) {
  auto profiles = conformance::load_profiles(names);
  if (!profiles) return std::move(profiles).error();
  plan.profiles = std::move(*profiles);
  plan.primary = plan.profiles.front().name;
  for (size_t i = 0; i < names.size(); ++i) {
    if (names[i] == plan.suite.primary) plan.primary = plan.profiles[i].name;
  }
  return {};
}

Result<std::optional<CollectorBinary>> choose_collector(const CheckPlan& plan,
                                                        const CheckOptions& options,
                                                        const Supervision& supervision) {
  if (options.embedded && plan.suite.backend) {
    return invalid_argument(plan.suite.file + ": backend: nothing is sent on to it without a " +
                            "real Collector");
  }
  if (options.embedded) return std::optional<CollectorBinary>();
  const auto needed = components_of_config(plan.suite.collector.config);
  if (!needed) return needed.error();
  auto binary = find_collector(options.collector, *needed, supervision);
  if (!binary) {
    Error error = std::move(binary).error();
    error.hint += "; or `--collector embedded` for a stand-in that tests less";
    return error;
  }
  return std::optional(std::move(*binary));
}

/// What was run with what, for the manifest, and a copy of the suite.
Status describe(const CheckPlan& plan, const CheckOptions& options,
                const std::optional<CollectorBinary>& collector, records::RunFolderWriter& folder) {
  records::RunManifest& manifest = folder.manifest();
  manifest.verb = "check";
  manifest.name = plan.suite.name;
  if (!options.cell.empty()) manifest.name += " " + to_string(options.cell);
  manifest.suite = std::filesystem::absolute(plan.suite.file).lexically_normal().string();
  manifest.profiles = options.profiles.empty() ? plan.suite.profiles : options.profiles;
  manifest.seed = options.seed.value_or(plan.suite.loads.front().seed);
  manifest.versions["touchstone"] = kVersion;
  manifest.versions["collector"] = collector ? collector->version : "none: embedded receiver";
  for (const auto& profile : plan.profiles) {
    manifest.versions["profile " + profile.name] = profile.version;
  }
  // Of what was run: a cell's words are in their places.
  manifest.digests["suite"] = sha256_hex(plan.suite.text);
  std::vector<std::pair<std::string, std::string>> inputs = {
      {"collector config", plan.suite.collector.config}, {"touchstone", options.touchstone}};
  for (const LoadPlan& load : plan.suite.loads) {
    const bool several = plan.suite.loads.size() > 1;
    inputs.emplace_back(several ? "workload " + load.subject : "workload", load.workload);
  }
  if (collector) inputs.emplace_back("collector", collector->path);
  for (const auto& [name, path] : inputs) {
    auto digest = records::file_digest(path);
    if (!digest) return std::move(digest).error();
    manifest.digests[name] = std::move(digest->sha256);
  }
  return write_file_atomic(folder.file(run_files::kSuite), plan.suite.text);
}

void draw_moments(uint64_t seed, CheckPlan& plan) {
  const bool drawn = std::any_of(plan.faults.begin(), plan.faults.end(),
                                 [](const Fault& fault) { return fault.until_ns.has_value(); });
  if (!drawn) return;
  plan.fault_seed = seed;
  plan.faults = with_moments(plan.faults, seed);
}

/// When the last request leaves, and what its spans can tell.
Status look_at_loads(const CheckOptions& options, CheckPlan& plan) {
  const auto primary = std::find_if(plan.profiles.begin(), plan.profiles.end(),
                                    [&](const auto& one) { return one.name == plan.primary; });
  std::vector<records::LedgerEntry> ledger;
  for (size_t i = 0; i < plan.suite.loads.size(); ++i) {
    const LoadPlan& load = plan.suite.loads[i];
    const auto workload = workload::read_workload(load.workload);
    if (!workload) return workload.error();
    if (workload->requests.empty()) continue;
    plan.last_arrival_ns = std::max(plan.last_arrival_ns, workload->requests.back().arrival_ns);
    LoadTarget target;
    target.workload = &*workload;
    target.seed = options.seed.value_or(load.seed);
    target.sampled_per_million = load.sampled_per_million;
    auto expected = expected_ledger(target, i);
    ledger.insert(ledger.end(), std::make_move_iterator(expected.begin()),
                  std::make_move_iterator(expected.end()));
  }
  plan.samples_most = conformance::spans_at_most(ledger, *primary);
  return {};
}

/// The suite in the folder is the one that was run, as far as the manifest knows.
Status check_suite_digest(const records::RunFolder& run) {
  const auto expected = run.manifest->digests.find("suite");
  if (expected == run.manifest->digests.end()) return {};
  const std::string copy = run.file(run_files::kSuite);
  const auto found = run.has(run_files::kSuite) ? file_sha256_hex(copy) : std::string("no file");
  if (!found) return found.error();
  if (*found == expected->second) return {};
  return unavailable(copy + ": got " + *found + ", expected sha256 " + expected->second +
                         " as digests.suite in run.json says",
                     "the demands of the run are no longer known; its spans can be judged with "
                     "`touchstone audit`");
}

/// nullopt: it was run without one.
Result<std::optional<Suite>> suite_of(const records::RunFolder& run) {
  if (!run.has(run_files::kSuite)) return std::optional<Suite>();
  const std::string copy = run.file(run_files::kSuite);
  auto suite = read_recorded_suite(copy, run.manifest ? run.manifest->suite : copy);
  if (!suite) return std::move(suite).error();
  return std::optional(std::move(*suite));
}

std::vector<std::string> owed_by(const records::RunManifest& run,
                                 const std::optional<Suite>& suite) {
  if (suite) return owed_by_suite(*suite);
  if (run.verb == "check") return {run_files::kSuite};
  return run.verb == "load" ? owed_by_load() : std::vector<std::string>();
}

}  // namespace

Result<CheckPlan> plan_check(const CheckOptions& options) {
  auto suite = read_suite(options.suite, options.cell);
  if (!suite) return std::move(suite).error();
  CheckPlan plan;
  plan.suite = std::move(*suite);
  RETURN_IF_ERROR(
      load_profiles(options.profiles.empty() ? plan.suite.profiles : options.profiles, plan));
  plan.faults = plan.suite.faults;
  for (const std::string& text : options.faults) {
    auto fault = parse_fault(text);
    if (!fault) return std::move(fault).error().with_context("--fault");
    RETURN_IF_ERROR(check_target(*fault, plan.suite));
    plan.faults.push_back(std::move(*fault));
  }
  draw_moments(options.seed.value_or(plan.suite.loads.front().seed), plan);
  RETURN_IF_ERROR(look_at_loads(options, plan));
  plan.owed = owed_by_suite(plan.suite);
  return plan;
}

Result<std::unique_ptr<records::RunFolderWriter>> run_check(
    const CheckPlan& plan, const CheckOptions& options, Cancelled cancelled,
    const std::function<void(const std::string&)>& progress, const Supervision& supervision) {
  RETURN_IF_ERROR(check_programs(plan.suite));
  auto collector = choose_collector(plan, options, supervision);
  if (!collector) return std::move(collector).error();
  auto folder = records::RunFolderWriter::create(options.run_folder,
                                                 records::RunFolderWriter::Former::kReplace);
  if (!folder) return std::move(folder).error();
  RETURN_IF_ERROR(describe(plan, options, *collector, **folder));
  const RunOptions run{.touchstone = options.touchstone,
                       .collector = std::move(*collector),
                       .faults = plan.faults,
                       .seed = options.seed,
                       .access = options.access,
                       .progress = progress};
  Status ran = run_suite(plan.suite, run, **folder, supervision);
  if (!ran && ran.error().code == ErrorCode::kCancelled && cancelled == Cancelled::kDiscard) {
    (*folder)->discard();
  }
  RETURN_IF_ERROR(std::move(ran));
  RETURN_IF_ERROR((*folder)->finish());
  return folder;
}

Result<CheckPlan> plan_of_run(const records::RunFolder& run, const CheckOptions& options) {
  CheckPlan plan;
  if (run.manifest) RETURN_IF_ERROR(check_suite_digest(run));
  auto own = suite_of(run);
  if (!own) return std::move(own).error();
  if (run.manifest) plan.owed = owed_by(*run.manifest, *own);
  std::vector<std::string> profiles = options.profiles;
  if (!options.suite.empty()) {
    auto given = read_suite(options.suite);
    if (!given) return std::move(given).error();
    plan.suite = std::move(*given);
  } else {
    if (*own) plan.suite = std::move(**own);
    if (profiles.empty() && run.manifest) {
      for (const std::string& name : run.manifest->profiles) {
        profiles.push_back(profile_of_run(run, name));
      }
    }
  }
  if (profiles.empty()) profiles = plan.suite.profiles;
  if (profiles.empty()) {
    return invalid_argument(run.path + ": names no profile to judge it by", "give --profile NAME");
  }
  RETURN_IF_ERROR(load_profiles(profiles, plan));
  return plan;
}

conformance::JudgeOptions judge_options(const CheckPlan& plan, result::Level fail_on) {
  return {.budgets = plan.suite.budgets,
          .suppressions = plan.suite.suppressions,
          .fail_on = fail_on,
          .primary = plan.primary,
          .answered_share = plan.suite.answered_share};
}

}  // namespace touchstone::harness
