#include "cli/sweep.h"

#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/text.h"
#include "cli/collector_search.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "harness/shipped.h"
#include "harness/sweep/cluster_job.h"
#include "harness/sweep/sweep.h"

namespace touchstone::cli {
namespace {

struct Flags {
  harness::SweepOptions options;
  int64_t point = -1;
  int64_t jobs = 0;
  bool dry_run = false;
  std::string share;
  std::string on;
  int64_t tasks = 0;
  std::string image;
  std::string claim;
  std::vector<std::string> slurm_arguments;
};

Exit fail(const Error& error) { return report_error(Error(error).with_context("sweep")); }

/// Commands as a person would type them.
Exit list(const harness::Grid& grid) {
  std::string text;
  for (int64_t i = 0; i < grid.points(); ++i) {
    text += "touchstone";
    for (const std::string& word : grid.command(i)) text += " " + shell_word(word);
    text += "\n";
  }
  const Status printed = print(text);
  return printed ? Exit::kGood : report_error(printed.error());
}

Exit print_outcome(const harness::SweepOutcome& outcome) {
  std::string text =
      format_count(outcome.points) + " points, " + format_count(outcome.failed) + " failed\n";
  if (!outcome.csv_path.empty()) text += outcome.csv_path + "\n" + outcome.markdown_path + "\n";
  const Status printed = print(text);
  if (!printed) return report_error(printed.error());
  return outcome.failed > 0 ? Exit::kFindings : Exit::kGood;
}

Exit run_elsewhere(const Flags& flags) {
  const harness::ClusterJobOptions job{.grid_path = flags.options.grid_path,
                                       .output = flags.options.output,
                                       .program = flags.options.program,
                                       .tasks = flags.tasks,
                                       .arguments = flags.slurm_arguments,
                                       .image = flags.image,
                                       .claim = flags.claim};
  if (flags.on == "kubernetes") {
    const auto path = harness::write_kubernetes_job(job);
    if (!path) return fail(path.error());
    const Status printed = print(*path + "\n");
    return printed ? Exit::kGood : report_error(printed.error());
  }
  auto supervisor = Supervisor::start();
  if (!supervisor) return report_error(supervisor.error());
  const auto outcome = harness::run_on_slurm(job, (*supervisor)->supervision());
  return outcome ? print_outcome(*outcome) : fail(outcome.error());
}

Exit run(Flags& flags) {
  const RealClock clock;
  flags.options.program = harness::program_path();
  if (flags.dry_run || flags.point >= 0) {
    const auto grid = harness::read_grid(flags.options.grid_path);
    if (!grid) return fail(grid.error());
    if (flags.dry_run) return list(*grid);
    const auto printed = harness::run_point(*grid, flags.point, flags.options.program, clock);
    if (!printed) return fail(printed.error());
    const Status written = print(*printed);
    return written ? Exit::kGood : report_error(written.error());
  }
  if (flags.options.output.empty()) {
    return fail(invalid_argument("--output: got none, expected a folder for the points"));
  }
  if (!flags.on.empty()) return run_elsewhere(flags);
  if (!flags.share.empty()) {
    const auto share = harness::parse_share(flags.share);
    if (!share) return fail(share.error());
    flags.options.share = *share;
  }
  flags.options.threads = static_cast<size_t>(flags.jobs);
  std::optional<Progress> progress;
  flags.options.progress = [&progress](int64_t done, int64_t points) {
    if (!progress) progress.emplace("sweep", "points", points);
    progress->update(done);
  };
  const auto outcome = harness::run_sweep(flags.options, clock);
  progress.reset();
  if (!outcome) return fail(outcome.error());
  return print_outcome(*outcome);
}

}  // namespace

Verb sweep_verb() {
  return {.name = "sweep",
          .summary = "Simulate every combination of a grid of flags",
          .example = "touchstone sweep fixtures/planning/grid.yaml --output sweep",
          .setup = [](CLI::App& app) {
            auto flags = std::make_shared<Flags>();
            app.add_option("GRID", flags->options.grid_path, "The grid, a .yaml file")
                ->required()
                ->type_name("FILE");
            app.add_option("--output", flags->options.output,
                           "Folder for the points; one that was begun is gone on with")
                ->check(path_to_write());
            app.add_option("--jobs", flags->jobs, "Points at a time (default: one a core)")
                ->check(CLI::Range(1, 4096));
            app.add_option("--point", flags->point,
                           "This one alone, on stdout: the bytes that the sweep keeps of it")
                ->check(CLI::Range(0, 1000000));
            app.add_option("--on", flags->on,
                           "Elsewhere: slurm submits an array job, waits and gathers; kubernetes "
                           "writes the manifest of an Indexed Job")
                ->check(CLI::IsMember({"slurm", "kubernetes"}));
            app.add_option("--tasks", flags->tasks,
                           "With --on: tasks that share the points (default: one a point)")
                ->check(CLI::Range(1, 1000));
            app.add_option("--slurm-argument", flags->slurm_arguments,
                           "With --on slurm: of sbatch, such as --partition=cpu; may be repeated")
                ->allow_extra_args(false);
            app.add_option("--image", flags->image,
                           "With --on kubernetes: has this program on its PATH");
            app.add_option("--claim", flags->claim,
                           "With --on kubernetes: of the volume with the grid, mounted at /sweep");
            app.add_option("--share", flags->share,
                           "I/N: every N-th point from I on, as a task of --on does");
            app.add_flag("--dry-run", flags->dry_run, "Print the command of each point");
            return [flags] { return run(*flags); };
          }};
}

}  // namespace touchstone::cli
