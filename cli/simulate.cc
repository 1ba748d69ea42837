#include "cli/simulate.h"

#include <unistd.h>

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/text.h"
#include "cli/config_flags.h"
#include "cli/generated_load.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "reports/reports.h"
#include "simulator/cluster/router.h"
#include "simulator/simulate.h"
#include "simulator/steptime/parse.h"

namespace touchstone::cli {
namespace {

struct Flags {
  simulator::SimulateOptions options;
  GeneratedLoad generated;
  int64_t concurrency = 0;
  std::string think_time = "0s";
  std::string scrape_interval;
  std::string request_timeout;
  std::string format = "text";
};

/// What CLI11 cannot say by itself.
Status resolve_flags(Flags& flags) {
  simulator::SimulateOptions& options = flags.options;
  if (flags.generated.wanted()) {
    auto generated = resolve(flags.generated, "simulate", options.seed);
    if (!generated) return std::move(generated).error();
    options.generated = std::move(*generated);
    options.generated_as = flags.generated.describe();
  }
  const auto think_time_ns = parse_duration_ns(flags.think_time);
  if (!think_time_ns) {
    return Error(think_time_ns.error()).with_context("simulate: --think-time");
  }
  if (!flags.scrape_interval.empty()) {
    const auto interval_ns = parse_duration_ns(flags.scrape_interval);
    if (!interval_ns || *interval_ns < 1) {
      return invalid_argument("simulate: --scrape-interval: got " + quote(flags.scrape_interval) +
                              ", expected a duration like 15s");
    }
    options.scrape_interval_ns = *interval_ns;
  }
  if (!flags.request_timeout.empty()) {
    const auto timeout_ns = parse_duration_ns(flags.request_timeout);
    if (!timeout_ns || *timeout_ns < 1) {
      return invalid_argument("simulate: --request-timeout: got " + quote(flags.request_timeout) +
                              ", expected a duration like 30s");
    }
    options.timeout_ns = *timeout_ns;
  }
  if (flags.concurrency > 0) {
    options.closed_loop = {.concurrency = flags.concurrency, .think_time_ns = *think_time_ns};
  } else if (*think_time_ns > 0) {
    return invalid_argument("simulate: --think-time: got " + quote(flags.think_time) +
                            ", expected it with --concurrency only");
  }
  return {};
}

Exit run(Flags& flags) {
  const Status usable = resolve_flags(flags);
  if (!usable) return report_error(usable.error());
  flags.options.charts = flags.format == "html";
  std::optional<Progress> progress;
  const bool counted = flags.options.generated && !flags.options.closed_loop;
  flags.options.progress = [&](int64_t done) {
    if (!progress) {
      progress.emplace("simulate", "requests",
                       counted ? std::optional(flags.options.generated->requests) : std::nullopt);
    }
    progress->update(done);
  };
  auto report = simulator::simulate(flags.options);
  progress.reset();
  if (!report) return report_error(Error(report.error()).with_context("simulate"));
  const Status signed_by = add_program_digest(*report);
  if (!signed_by) return report_error(signed_by.error());
  reports::TextOptions options;
  options.color = isatty(STDOUT_FILENO) != 0;
  const Status printed = print(reports::format_of(flags.format).render(*report, options));
  if (!printed) return report_error(printed.error());
  return report->verdict == result::Verdict::kSkip ? Exit::kGood
                                                   : static_cast<Exit>(result::exit_code(*report));
}

std::function<Exit()> set_up(CLI::App& app) {
  const auto flags = std::make_shared<Flags>();
  simulator::SimulateOptions& options = flags->options;
  app.add_option("--workload", options.workload,
                 "Workload or trace to simulate (`touchstone workload formats` lists them)");
  app.add_option("--trace-format", options.workload_format,
                 "Of the workload (default: told by its content)");
  app.add_option("--run", options.run,
                 "Folder of a measured run: its requests, flags and, with steps.jsonl, step times");
  add_generated_load(app, flags->generated);
  app.add_option(
         "--concurrency", flags->concurrency,
         "Closed loop: so many clients, each with one request at a time; arrivals are theirs")
      ->check(CLI::Range(1, 10000000));
  app.add_option("--think-time", flags->think_time,
                 "Closed loop: from the end of a request to the client's next, such as 2s")
      ->capture_default_str();
  app.add_option("--request-timeout", flags->request_timeout,
                 "Clients give up when they have no whole answer after this (default: never; a "
                 "request's own timeout_ns goes first)");
  add_config_flags(app, {.defaults = {}, .else_than_default = "the run's, else ", .left_out = {}},
                   flags->options.changes);
  app.add_option("--replicas", options.replicas, "Servers with the same settings")
      ->capture_default_str();
  app.add_option("--cluster", options.cluster,
                 "File of a cluster: several kinds of replica, prices, admission, outages, "
                 "autoscaler")
      ->type_name("FILE");
  std::vector<std::string> routers;
  std::vector<std::string> summaries;
  for (const simulator::RouterRow& row : simulator::routers()) {
    routers.emplace_back(row.name);
    summaries.push_back(std::string(row.name) + " (" + row.summary + ")");
  }
  app.add_option("--router", options.router, "Which replica serves: " + join(summaries, ", "))
      ->check(CLI::IsMember(routers))
      ->capture_default_str();
  std::vector<std::string> usages;
  for (const simulator::StepTimeRow& row : simulator::step_time_models()) {
    usages.emplace_back(row.usage);
  }
  usages.emplace_back("MODEL.json of calibrate");
  app.add_option(
      "--steptime", options.step_time,
      "How long a step takes: " + join(usages, " | ") + " (default with steps.jsonl: fitted)");
  app.add_flag("--compare", options.compare, "With --run: measured beside simulated");
  app.add_option("--seed", options.seed, "Of generated load; a replay draws nothing at random")
      ->capture_default_str();
  app.add_option("--scrape-interval", flags->scrape_interval,
                 "Time series at this interval: charts in the HTML report, timeseries.csv in the "
                 "folder of --output");
  app.add_option("--against", options.against,
                 "Report of another simulation (--format json): what differs")
      ->type_name("FILE");
  app.add_option("--format", flags->format, "Of the report on stdout")
      ->check(CLI::IsMember(reports::format_words()))
      ->capture_default_str();
  app.add_option("--output", options.output,
                 "New folder for what the server would leave: steps, records, spans, metrics")
      ->check(path_to_write());
  return [flags] { return run(*flags); };
}

}  // namespace

Verb simulate_verb() {
  return {"simulate", "Run a workload or a measured run through the scheduler in virtual time",
          "touchstone simulate --workload fixtures/scheduler/vllm-0.32.0/workload.jsonl "
          "--num-gpu-blocks-override 28 --block-size 32 --max-num-seqs 8 "
          "--max-num-batched-tokens 512 --max-model-len 512 --steptime constant:13ms",
          set_up};
}

}  // namespace touchstone::cli
