#include "cli/sweep.h"

#include <unistd.h>

#include <cstdio>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/text.h"
#include "cli/output.h"
#include "harness/shipped.h"
#include "harness/sweep/sweep.h"

namespace touchstone::cli {
namespace {

struct Flags {
  harness::SweepOptions options;
  int64_t point = -1;
  int64_t jobs = 0;
  bool dry_run = false;
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
  flags.options.threads = static_cast<size_t>(flags.jobs);
  const int64_t start_ns = clock.monotonic_ns();
  if (isatty(STDERR_FILENO) != 0) {
    flags.options.progress = [&clock, start_ns](int64_t done, int64_t points) {
      const double seconds = to_seconds(clock.monotonic_ns() - start_ns);
      std::fprintf(stderr, "\rsweep: %lld of %lld points, %.0f s", static_cast<long long>(done),
                   static_cast<long long>(points), seconds);
      if (done == points) std::fputc('\n', stderr);
    };
  }
  const auto outcome = harness::run_sweep(flags.options, clock);
  if (!outcome) return fail(outcome.error());
  const Status printed =
      print(format_count(outcome->points) + " points, " + format_count(outcome->failed) +
            " failed\n" + outcome->csv_path + "\n" + outcome->markdown_path + "\n");
  if (!printed) return report_error(printed.error());
  return outcome->failed > 0 ? Exit::kFindings : Exit::kGood;
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
            app.add_flag("--dry-run", flags->dry_run, "Print the command of each point");
            return [flags] { return run(*flags); };
          }};
}

}  // namespace touchstone::cli
