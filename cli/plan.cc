#include "cli/plan.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/files.h"
#include "base/text.h"
#include "cli/config_flags.h"
#include "cli/generated_load.h"
#include "cli/output.h"
#include "simulator/measured/load.h"
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
  std::string run;  ///< folder of a measured run, whose flags count and whose requests may
  std::string hardware;
  simulator::HardwareRow row;  ///< of flags, instead of a file
  simulator::PlanOptions options;
  bool no_tune = false;
  bool no_sensitivity = false;
  uint64_t seed = 0;
  std::string format = "text";
  std::string output;
};

/// The requests of a measured run.
Result<simulator::Trace> trace_of_run(const simulator::MeasuredLoad& load) {
  std::vector<workload::Request> requests;
  for (const simulator::MeasuredRequest& measured : load.requests) {
    requests.push_back(measured.request);
  }
  return simulator::Trace::of(std::move(requests), load.path);
}

/// What is left out of the trace is said in `notes`.
Result<simulator::Trace> read_trace(const Flags& flags, std::vector<std::string>& notes) {
  std::unique_ptr<workload::RequestReader> reader;
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
    notes.push_back("the first " + format_count(flags.most_requests) +
                    " requests of the trace (--max-requests)");
  }
  const std::string left_out = reader->left_out();
  if (!left_out.empty()) notes.push_back("left out of the trace: " + left_out);
  return trace;
}

/// One row of flags, over those of a measured run, or the rows of the file.
Result<std::vector<simulator::HardwareRow>> rows_of(
    const Flags& flags, const std::optional<simulator::MeasuredLoad>& load) {
  const bool by_flags = !flags.row.step_time.empty();
  if (by_flags == !flags.hardware.empty()) {
    return invalid_argument("got " + std::string(by_flags ? "both" : "none") +
                                " of --hardware and --steptime, expected one of them",
                            "--hardware FILE compares several kinds of replica, --steptime with "
                            "the server's flags describes one");
  }
  if (!by_flags) return simulator::read_hardware(flags.hardware);
  simulator::HardwareRow row = flags.row;
  if (load) {
    row.flags = scheduler::values_of(load->config);
    for (const auto& [name, value] : flags.row.flags) row.flags[name] = value;
  } else if (!row.flags.contains("num_blocks")) {
    return invalid_argument(
        "--num-gpu-blocks-override: got none, expected the blocks of the KV cache",
        "vLLM logs it at start-up as \"# GPU blocks\"; --run FOLDER takes the flags of a run");
  }
  return std::vector<simulator::HardwareRow>{std::move(row)};
}

/// The fleet as a file, beside the reports.
Status write_cluster(const simulator::Plan& plan, const Flags& flags) {
  if (flags.output.empty() || !plan.cheapest) return {};
  RETURN_IF_ERROR(make_directories(flags.output));
  return write_file_atomic(
      flags.output + "/cluster.yaml",
      simulator::cluster_yaml(plan.rows[*plan.cheapest], flags.options.router));
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
  const bool own_requests = flags.workload.empty() && !flags.generated.wanted();
  if (own_requests && flags.run.empty()) {
    return invalid_argument("got none of --workload, --requests and --run, expected one of them");
  }
  if (!flags.workload.empty() && flags.generated.wanted()) {
    return invalid_argument("got both of --workload and --requests, expected one of them");
  }
  std::optional<simulator::MeasuredLoad> load;
  if (!flags.run.empty()) {
    auto read = simulator::read_measured_load(flags.run);
    if (!read) return std::move(read).error();
    load = std::move(*read);
  }
  const auto rows = rows_of(flags, load);
  if (!rows) return rows.error();
  std::vector<std::string> notes;
  const auto trace = own_requests ? trace_of_run(*load) : read_trace(flags, notes);
  if (!trace) return trace.error();
  const auto made = simulator::make_plan(*trace, *rows, flags.options);
  if (!made) return made.error();
  auto report = simulator::plan_report(*trace, *made, flags.options);
  if (!report) return report;
  RETURN_IF_ERROR(write_cluster(*made, flags));
  report->provenance.seed = flags.seed;
  report->notes.insert(report->notes.end(), notes.begin(), notes.end());
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
  app.add_option("--run", flags->run,
                 "Measured run: its requests, unless others are given, and with --steptime its "
                 "server's flags");
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
  app.add_option("--output", flags->output,
                 "Folder for the reports and cluster.yaml, the fleet for `simulate --cluster`")
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
