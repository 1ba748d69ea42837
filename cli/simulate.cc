#include "cli/simulate.h"

#include <unistd.h>

#include <memory>
#include <utility>
#include <vector>

#include "base/text.h"
#include "cli/generated_load.h"
#include "cli/output.h"
#include "reference_engine/scheduler/policies.h"
#include "reports/reports.h"
#include "simulator/cluster/router.h"
#include "simulator/simulate.h"
#include "simulator/steptime/parse.h"

namespace touchstone::cli {
namespace {

struct Flags {
  simulator::SimulateOptions options;
  GeneratedLoad generated;
  std::string policy;
  int64_t concurrency = 0;
  std::string think_time = "0s";
  std::string format = "text";
};

/// What CLI11 cannot say by itself.
Status resolve_flags(Flags& flags) {
  simulator::SimulateOptions& options = flags.options;
  options.changes.policy = scheduler::parse_policy(flags.policy);
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
  const auto report = simulator::simulate(flags.options);
  if (!report) return report_error(Error(report.error()).with_context("simulate"));
  reports::TextOptions options;
  options.color = isatty(STDOUT_FILENO) != 0;
  const Status printed = print(reports::render(*report, reports::format_of(flags.format), options));
  if (!printed) return report_error(printed.error());
  return report->verdict == result::Verdict::kSkip ? Exit::kGood
                                                   : static_cast<Exit>(result::exit_code(*report));
}

void add_scheduler_flags(CLI::App& app, Flags& all) {
  simulator::ConfigChanges& flags = all.options.changes;
  const scheduler::Config defaults;
  const auto number = [&app](const char* name, auto& field, const std::string& help,
                             int64_t fallback) {
    app.add_option(name, field,
                   help + " (default: the run's, else " + std::to_string(fallback) + ")");
  };
  app.add_option("--num-gpu-blocks-override", flags.num_blocks,
                 "KV-cache blocks, the null block included (default: the run's)");
  number("--block-size", flags.block_size, "Tokens in a block", defaults.block_size);
  number("--max-num-seqs", flags.max_num_seqs, "Requests that run at once", defaults.max_num_seqs);
  number("--max-num-batched-tokens", flags.max_num_batched_tokens, "Tokens in a step",
         defaults.max_num_batched_tokens);
  number("--max-model-len", flags.max_model_len, "Prompt and output at most",
         defaults.max_model_len);
  number("--long-prefill-token-threshold", flags.long_prefill_token_threshold,
         "Tokens of one prompt in a step, 0: no limit", defaults.long_prefill_token_threshold);
  const auto on_off = [&app](const char* names, std::optional<bool>& field, const char* help) {
    app.add_flag_function(
        names, [&field](int64_t count) { field = count > 0; },
        std::string(help) + " (default: the run's, else on)");
  };
  on_off("--enable-prefix-caching,!--no-enable-prefix-caching", flags.enable_prefix_caching,
         "Reuse blocks of equal prefixes");
  on_off("--enable-chunked-prefill,!--no-enable-chunked-prefill", flags.enable_chunked_prefill,
         "Cut prompts to fit a step");
  std::vector<std::string> policies;
  for (const scheduler::PolicyRow& row : scheduler::policies()) policies.emplace_back(row.name);
  app.add_option("--scheduling-policy", all.policy,
                 "Who is admitted first (default: the run's, else fcfs)")
      ->check(CLI::IsMember(policies));
}

std::function<Exit()> set_up(CLI::App& app) {
  const auto flags = std::make_shared<Flags>();
  simulator::SimulateOptions& options = flags->options;
  app.add_option("--workload", options.workload, "Workload file to simulate");
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
  add_scheduler_flags(app, *flags);
  app.add_option("--replicas", options.replicas, "Servers with the same settings")
      ->capture_default_str();
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
  app.add_option(
      "--steptime", options.step_time,
      "How long a step takes: " + join(usages, " | ") + " (default with steps.jsonl: fitted)");
  app.add_flag("--compare", options.compare, "With --run: measured beside simulated");
  app.add_option("--seed", options.seed, "Of generated load; a replay draws nothing at random")
      ->capture_default_str();
  app.add_option("--format", flags->format, "Of the report on stdout")
      ->check(CLI::IsMember(reports::format_words()))
      ->capture_default_str();
  app.add_option("--output", options.output,
                 "Folder for what the server would leave: steps, records, spans, metrics");
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
