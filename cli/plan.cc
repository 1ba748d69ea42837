#include "cli/plan.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/text.h"
#include "cli/config_flags.h"
#include "cli/generated_load.h"
#include "cli/output.h"
#include "simulator/planner/plan.h"
#include "workload/traces/trace.h"

namespace touchstone::cli {
namespace {

struct Flags {
  std::string workload;
  std::string trace_format;
  GeneratedLoad generated;
  int64_t most_requests = 100'000;
  std::vector<std::string> slos;
  double goodput = 0;
  std::string hardware;
  simulator::HardwareRow row;  ///< of flags, instead of a file
  simulator::PlanOptions options;
  bool no_tune = false;
  bool no_sensitivity = false;
  uint64_t seed = 0;
  std::string format = "text";
  std::string output;
};

/// Refuses what is not read to its end: a plan for a part of the load would be wrong in silence.
Result<simulator::Trace> read_trace(const Flags& flags, result::Report& notes) {
  std::unique_ptr<workload::RequestReader> reader;
  if (flags.generated.wanted() == !flags.workload.empty()) {
    return invalid_argument("got " + std::string(flags.workload.empty() ? "none" : "both") +
                            " of --workload and --requests, expected one of them");
  }
  if (flags.generated.wanted()) {
    const auto options = resolve(flags.generated, "plan", flags.seed);
    if (!options) return options.error();
    reader = std::make_unique<workload::Generator>(*options);
  } else {
    auto opened = workload::open_trace(flags.workload, flags.trace_format, {.seed = flags.seed});
    if (!opened) return std::move(opened).error();
    reader = std::move(*opened);
  }
  auto trace = simulator::Trace::read(*reader, flags.most_requests);
  if (!trace) return trace;
  workload::Request more;
  const auto there = reader->next(more);
  if (!there) return there.error();
  if (*there) {
    notes.notes.push_back("the first " + format_count(flags.most_requests) +
                          " requests of the trace (--max-requests)");
  }
  const std::string left_out = reader->left_out();
  if (!left_out.empty()) notes.notes.push_back("left out of the trace: " + left_out);
  return trace;
}

Result<std::vector<simulator::HardwareRow>> rows_of(const Flags& flags) {
  const bool by_flags = !flags.row.step_time.empty();
  if (by_flags == !flags.hardware.empty()) {
    return invalid_argument("got " + std::string(by_flags ? "both" : "none") +
                                " of --hardware and --steptime, expected one of them",
                            "--hardware FILE compares several kinds of replica, --steptime with "
                            "the server's flags describes one");
  }
  if (!by_flags) return simulator::read_hardware(flags.hardware);
  if (!flags.row.flags.contains("num_blocks")) {
    return invalid_argument(
        "--num-gpu-blocks-override: got none, expected the blocks of the KV cache",
        "vLLM logs it at start-up as \"# GPU blocks\"");
  }
  return std::vector<simulator::HardwareRow>{flags.row};
}

Result<result::Report> plan(Flags& flags) {
  for (const std::string& text : flags.slos) {
    const auto slo = simulator::parse_slo(text);
    if (!slo) return slo.error();
    flags.options.slos.limits.push_back(*slo);
  }
  if (flags.goodput > 0) flags.options.slos.goodput = flags.goodput / 100;
  flags.options.tune = !flags.no_tune;
  flags.options.sensitivity = !flags.no_sensitivity;
  flags.options.trace_name = flags.generated.wanted() ? flags.generated.describe() : flags.workload;
  const auto rows = rows_of(flags);
  if (!rows) return rows.error();
  result::Report notes;
  const auto trace = read_trace(flags, notes);
  if (!trace) return trace.error();
  const auto made = simulator::make_plan(*trace, *rows, flags.options);
  if (!made) return made.error();
  auto report = simulator::plan_report(*trace, *made, flags.options);
  if (!report) return report;
  report->provenance.seed = flags.seed;
  report->notes.insert(report->notes.end(), notes.notes.begin(), notes.notes.end());
  return report;
}

Exit run(Flags& flags) {
  auto report = plan(flags);
  if (!report) return report_error(Error(report.error()).with_context("plan"));
  return finish_report(std::move(*report), reports::format_of(flags.format), flags.output);
}

void add_load_flags(CLI::App& app, Flags& flags) {
  app.add_option("--workload", flags.workload,
                 "Workload or trace to plan for (`touchstone workload formats` lists them)")
      ->type_name("FILE");
  app.add_option("--trace-format", flags.trace_format,
                 "Of the workload (default: told by its content)");
  add_generated_load(app, flags.generated);
  app.add_option("--max-requests", flags.most_requests, "Of the trace; the first ones")
      ->check(CLI::Range(1, 100000000))
      ->capture_default_str();
  app.add_option("--rate-factor", flags.options.rate, "Plan for so many times the trace's rate")
      ->capture_default_str();
}

std::function<Exit()> set_up(CLI::App& app) {
  const auto flags = std::make_shared<Flags>();
  add_load_flags(app, *flags);
  app.add_option("--slo", flags->slos,
                 "Limit to keep, several times: PHASE:pQUANTILE:LIMIT with ttft, tpot or e2e, such "
                 "as ttft:p95:1s");
  app.add_option("--goodput", flags->goodput,
                 "Percent of the requests that must keep every limit themselves")
      ->check(CLI::Range(0.0, 100.0));
  app.add_option("--hardware", flags->hardware,
                 "File with a row for each kind of replica: step times, flags, price")
      ->type_name("FILE");
  flags->row.name = "replica";
  app.add_option("--steptime", flags->row.step_time, "One kind of replica: how long a step takes");
  app.add_option("--price", flags->row.price_per_hour, "One kind: of a replica and an hour")
      ->check(CLI::Range(0.0, 1e9));
  app.add_option("--most-replicas", flags->row.most, "One kind: that can be had")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  add_config_flags(app, {.defaults = {}, .else_than_default = "", .left_out = {"max_loras"}},
                   flags->row.flags);
  app.add_option("--router", flags->options.router, "Which replica serves, as in `simulate`")
      ->capture_default_str();
  app.add_option("--replications", flags->options.replications,
                 "The trace and others like it; the limits must be kept in all")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_flag("--no-tune", flags->no_tune, "Keep the flags as given");
  app.add_flag("--no-sensitivity", flags->no_sensitivity, "Only the fleets");
  app.add_option("--seed", flags->seed, "Of generated load")->capture_default_str();
  app.add_option("--format", flags->format, "Of the report on stdout")
      ->check(CLI::IsMember(reports::format_words()))
      ->capture_default_str();
  app.add_option("--output", flags->output, "Folder for report.html and report.json")
      ->check(path_to_write());
  return [flags] { return run(*flags); };
}

}  // namespace

Verb plan_verb() {
  return {"plan", "Find the smallest and the cheapest fleet that keeps latency limits",
          "touchstone plan --workload fixtures/traces/azure/code.csv --slo ttft:p95:2s "
          "--slo tpot:p95:60ms --steptime linear:8ms,40us,150us --num-gpu-blocks-override 20000 "
          "--max-model-len 16384 --price 2.5",
          set_up};
}

}  // namespace touchstone::cli
