#include "cli/bench.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "base/files.h"
#include "base/text.h"
#include "base/version.h"
#include "cli/collector_search.h"
#include "cli/output.h"
#include "harness/bench/bench_compare.h"
#include "harness/bench/bench_runner.h"
#include "harness/bench/bench_suite.h"
#include "records/bench_run.h"

namespace touchstone::cli {
namespace {

namespace fs = std::filesystem;

struct Flags {
  std::string suite;
  std::string base;
  std::string value;
  std::string format = "text";
  std::string output;
  double effect_percent = 2;
  double confidence_percent = 95;
};

Exit measure(const Flags& flags) {
  const auto suite = harness::read_bench_suite(flags.suite);
  if (!suite) return report_error(suite.error());
  auto supervisor = Supervisor::start();
  if (!supervisor) return report_error(supervisor.error());
  const Status made = make_directories(flags.output);
  if (!made) return report_error(made.error());
  harness::BenchOptions options;
  options.version = kVersion;
  options.progress = [](const std::string& text) {
    std::fprintf(stderr, "bench: %s\n", text.c_str());
  };
  const auto runs = harness::run_bench(*suite, options, (*supervisor)->supervision());
  if (!runs) return report_error(Error(runs.error()).with_context("bench"));
  for (const records::BenchRun& run : *runs) {
    const std::string path = flags.output + "/" + run.subject + ".json";
    const Status written = write_file_atomic(path, records::to_json(run));
    if (!written) return report_error(written.error());
    std::printf("%s\n", path.c_str());
  }
  return Exit::kGood;
}

/// A file, or every .json file of a folder, their samples together.
Result<records::BenchRun> read_runs(const std::string& path) {
  if (!fs::is_directory(path)) return records::read_bench_run(path);
  std::vector<std::string> files;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(path, error)) {
    if (entry.path().extension() == ".json") files.push_back(entry.path().string());
  }
  if (error) return io_error(path + ": cannot read: " + error.message());
  if (files.empty()) return not_found(path + ": got no .json file, expected one or more");
  std::sort(files.begin(), files.end());
  records::BenchRun all;
  for (const std::string& file : files) {
    const auto run = records::read_bench_run(file);
    if (!run) return run.error();
    records::add_series(run->series, all.series);
    all.facts.insert(run->facts.begin(), run->facts.end());
  }
  return all;
}

Exit compare(const Flags& flags) {
  const auto base = read_runs(flags.base);
  if (!base) return report_error(Error(base.error()).with_context("bench"));
  const auto value = read_runs(flags.value);
  if (!value) return report_error(Error(value.error()).with_context("bench"));
  // Two files of one name in two folders are told apart by their folders.
  const auto name_of = [&](const std::string& path) {
    const std::string stem = fs::path(path).stem().string();
    const bool twins = stem == fs::path(path == flags.base ? flags.value : flags.base).stem();
    return twins || stem.empty() ? path : stem;
  };
  auto report = harness::compare_bench_runs(
      *base, *value, name_of(flags.base), name_of(flags.value),
      {.effect_min = flags.effect_percent / 100, .confidence = flags.confidence_percent / 100});
  report.provenance.tool_version = kVersion;
  report.provenance.command =
      "touchstone bench compare " + shell_word(flags.base) + " " + shell_word(flags.value);
  return finish_report(std::move(report), reports::format_of(flags.format), flags.output);
}

std::function<Exit()> set_up(CLI::App& app) {
  const auto flags = std::make_shared<Flags>();
  app.require_subcommand(1);
  CLI::App* run_app = app.add_subcommand(
      "run", "Put subjects through cases in turns: Google Benchmark programs, loads on servers");
  run_app->add_option("SUITE", flags->suite, "Benchmark suite, YAML (harness/bench/bench_suite.h)")
      ->required();
  run_app->add_option("--output", flags->output, "Folder for SUBJECT.json of each subject")
      ->required()
      ->check(path_to_write());
  run_app->footer("Example:\n  touchstone bench run bench/suites/servers.yaml --output runs/today");

  CLI::App* compare_app = app.add_subcommand(
      "compare", "Judge figures against a baseline: better, same, worse or unknown; 1 on worse");
  const std::string files =
      "Figures: of `bench run`, a Google Benchmark's JSON, a `vllm bench serve --save-result`; a "
      "folder: all its .json files together";
  compare_app->add_option("BASE", flags->base, files)->required();
  compare_app->add_option("NEW", flags->value, "The same of what is judged")->required();
  compare_app
      ->add_option("--min-effect", flags->effect_percent,
                   "Percent; a smaller difference does not matter")
      ->check(CLI::Range(0.0, 100.0))
      ->capture_default_str();
  compare_app->add_option("--confidence", flags->confidence_percent, "Percent, of the intervals")
      ->check(CLI::Range(50.0, 99.99))
      ->capture_default_str();
  compare_app->add_option("--format", flags->format, "What to print on stdout")
      ->check(CLI::IsMember(reports::format_words()))
      ->capture_default_str();
  compare_app->add_option("--output", flags->output, "Also write the report in every format here")
      ->check(path_to_write())
      ->type_name("DIR");
  compare_app->footer(
      "Example:\n  touchstone bench compare runs/today/base.json runs/today/new.json");
  return [=] { return run_app->parsed() ? measure(*flags) : compare(*flags); };
}

}  // namespace

Verb bench_verb() {
  return {"bench", "Measure, and tell whether figures got worse",
          "touchstone bench compare base.json new.json --format markdown", set_up};
}

}  // namespace touchstone::cli
