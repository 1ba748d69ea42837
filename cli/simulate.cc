#include "cli/simulate.h"

#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <utility>

#include "base/text.h"
#include "base/version.h"
#include "cli/generated_load.h"
#include "cli/output.h"
#include "reference_engine/scheduler/policies.h"
#include "reports/reports.h"
#include "simulator/compare.h"
#include "simulator/logs.h"
#include "simulator/measured_run.h"
#include "simulator/replay.h"
#include "simulator/report.h"
#include "simulator/run_folder.h"
#include "simulator/simulation.h"
#include "simulator/sources.h"
#include "simulator/steptime/parse.h"

namespace touchstone::cli {
namespace {

/// Flags of vLLM's names; unset ones come from the run or from the scheduler's defaults.
struct SchedulerFlags {
  std::optional<int64_t> num_blocks;
  std::optional<int32_t> block_size;
  std::optional<int32_t> max_num_seqs;
  std::optional<int32_t> max_num_batched_tokens;
  std::optional<int32_t> max_model_len;
  std::optional<int32_t> long_prefill_token_threshold;
  std::optional<bool> prefix_caching;
  std::optional<bool> chunked_prefill;
  std::string policy;

  void apply(scheduler::Config& config) const {
    config.num_blocks = num_blocks.value_or(config.num_blocks);
    config.block_size = block_size.value_or(config.block_size);
    config.max_num_seqs = max_num_seqs.value_or(config.max_num_seqs);
    config.max_num_batched_tokens = max_num_batched_tokens.value_or(config.max_num_batched_tokens);
    config.max_model_len = max_model_len.value_or(config.max_model_len);
    config.long_prefill_token_threshold =
        long_prefill_token_threshold.value_or(config.long_prefill_token_threshold);
    config.enable_prefix_caching = prefix_caching.value_or(config.enable_prefix_caching);
    config.enable_chunked_prefill = chunked_prefill.value_or(config.enable_chunked_prefill);
    config.policy = scheduler::parse_policy(policy).value_or(config.policy);
  }
  bool any() const {
    return num_blocks || block_size || max_num_seqs || max_num_batched_tokens || max_model_len ||
           long_prefill_token_threshold || prefix_caching || chunked_prefill || !policy.empty();
  }
};

struct Flags {
  std::string workload;
  std::string run;
  GeneratedLoad generated;
  SchedulerFlags scheduler;
  std::string steptime;
  bool compare = false;
  uint64_t seed = 0;
  std::string format = "text";
  std::string output;
};

/// What is simulated, read: a workload, generated load or a measured run. Generated load with a run
/// takes the run's flags and step times: what would that server do under this load?
struct Input {
  scheduler::Config config;
  std::vector<simulator::StepSample> samples;
  std::optional<workload::Workload> workload;
  std::optional<workload::GenerateOptions> generated;
  std::optional<simulator::MeasuredRun> measured;  ///< with steps.jsonl
  std::optional<simulator::RunFolder> folder;      ///< without
};

Status check_flags(const Flags& flags) {
  const bool generates = flags.generated.wanted();
  const int inputs = !flags.workload.empty() + generates + (!flags.run.empty() && !generates);
  if (inputs != 1 || (!flags.workload.empty() && !flags.run.empty())) {
    return invalid_argument(
        "simulate: got " + std::string(inputs == 0 ? "none" : "several") +
            ", expected one of --workload, --requests and --run",
        "--workload FILE simulates a file, --requests N generates, --run FOLDER "
        "repeats a measured run or lends --requests its flags and step times");
  }
  if (flags.compare && (flags.run.empty() || generates)) {
    return invalid_argument(
        "simulate: --compare: got other requests, expected those of a measured run");
  }
  if (flags.steptime.empty() && flags.run.empty()) {
    return invalid_argument("simulate: --steptime: got none, expected how long a step takes",
                            "for example --steptime constant:20ms");
  }
  if (flags.steptime == "recorded" && generates) {
    return invalid_argument("simulate: --steptime recorded: got other requests than the recorded",
                            "use --steptime fitted");
  }
  return {};
}

/// The folder's flags and step times, and its requests.
Status read_run(const Flags& flags, Input& input) {
  if (!std::filesystem::exists(flags.run + "/steps.jsonl")) {
    auto folder = simulator::read_run_folder(flags.run);
    if (!folder) return std::move(folder).error();
    input.config = folder->config;
    input.folder = std::move(*folder);
    return {};
  }
  auto measured = simulator::read_measured_run(flags.run);
  if (!measured) return std::move(measured).error();
  input.config = measured->config;
  input.samples = simulator::step_samples(measured->log);
  input.measured = std::move(*measured);
  return {};
}

Result<Input> read_input(const Flags& flags) {
  Input input;
  if (!flags.workload.empty()) {
    auto workload = workload::read_workload(flags.workload);
    if (!workload) return std::move(workload).error();
    input.workload = std::move(*workload);
  }
  if (!flags.run.empty()) {
    RETURN_IF_ERROR(read_run(flags, input));
  } else if (!flags.scheduler.num_blocks) {
    return invalid_argument(
        "simulate: --num-gpu-blocks-override: got none, expected the blocks "
        "of the KV cache",
        "vLLM logs it at start-up as \"# GPU blocks\"");
  }
  flags.scheduler.apply(input.config);
  const Status valid = scheduler::validate(input.config);
  if (!valid) return Error(valid.error()).with_context("simulate");
  if (flags.generated.wanted()) {
    auto options = resolve(flags.generated, "simulate", flags.seed);
    if (!options) return std::move(options).error();
    options->prefix_block_size = input.config.block_size;
    input.generated = *options;
  }
  return input;
}

std::unique_ptr<simulator::RequestSource> make_source(const Input& input) {
  if (input.generated) return simulator::make_generator_source(*input.generated, input.config);
  if (input.measured) return simulator::make_record_source(input.measured->records);
  return simulator::make_workload_source(input.workload ? *input.workload : input.folder->workload,
                                         input.config);
}

result::Report new_report(const Flags& flags, const Input& input) {
  result::Report report;
  report.title = "simulate " + (input.generated     ? flags.generated.describe()
                                : flags.run.empty() ? flags.workload
                                                    : flags.run);
  report.verdict = result::Verdict::kSkip;
  report.provenance.tool_version = kVersion;
  report.provenance.seed = flags.seed;
  const scheduler::Config& c = input.config;
  report.notes.push_back(
      std::to_string(c.num_blocks) + " blocks of " + std::to_string(c.block_size) + ", " +
      std::to_string(c.max_num_seqs) + " sequences, " + std::to_string(c.max_num_batched_tokens) +
      " tokens a step, model length " + std::to_string(c.max_model_len) + ", " +
      scheduler::to_string(c.policy) + (c.enable_prefix_caching ? "" : ", no prefix caching") +
      (c.enable_chunked_prefill ? "" : ", no chunked prefill"));
  if (input.folder && input.folder->left_out > 0) {
    report.notes.push_back(std::to_string(input.folder->left_out) +
                           " requests that were not completed are left out");
  }
  return report;
}

std::string hex(uint64_t value) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(value));
  return text;
}

Status simulate(const Flags& flags, const Input& input, result::Report& report) {
  const std::string steptime =
      flags.steptime.empty() ? (input.samples.empty() ? "" : "fitted") : flags.steptime;
  if (steptime.empty()) {
    return invalid_argument("simulate: --steptime: got none, expected how long a step takes",
                            "the run has no steps.jsonl to learn it from");
  }
  auto model = simulator::parse_step_time(steptime, input.samples);
  if (!model) return std::move(model).error().with_context("simulate");
  report.notes.push_back("step time " + (*model)->describe());

  simulator::Summary summary;
  std::unique_ptr<simulator::LogWriter> writer;
  simulator::Observer* observer = &summary;
  if (!flags.output.empty()) {
    auto opened = simulator::LogWriter::open(flags.output, input.config, summary);
    if (!opened) return std::move(opened).error();
    writer = std::move(*opened);
    observer = writer.get();
  }
  const auto source = make_source(input);
  const auto end = simulator::run_simulation(input.config, *source, **model, *observer);
  if (!end) return Error(end.error()).with_context("simulate");
  if (writer) RETURN_IF_ERROR(writer->finish());
  add_simulation(summary, end->counters, report);
  report.notes.push_back(std::to_string(end->events) + " events, fingerprint " +
                         hex(end->fingerprint));
  if (flags.compare && input.folder) {
    add_measured_latencies(input.folder->measured, summary, report);
  }
  return {};
}

/// The logged schedule with the logged times: nothing is predicted.
Status replay(const Flags& flags, const Input& input, result::Report& report) {
  if (!flags.output.empty() || flags.scheduler.any()) {
    return invalid_argument(
        "simulate: --steptime recorded: got it with --output or scheduler flags, expected neither",
        "it repeats the recorded schedule; use --steptime fitted to change anything");
  }
  const auto replayed = simulator::replay_step_log(input.measured->log, input.measured->records);
  if (!replayed) return replayed.error();
  simulator::Summary summary;
  for (const records::StepRecord& step : replayed->steps) {
    summary.add_step(step, input.config.num_blocks - 1);
  }
  for (const simulator::RequestTimes& request : replayed->requests) summary.on_request(request);
  add_simulation(summary, replayed->counters, report);
  report.notes.push_back("step time recorded: inputs, order and times as logged");
  return {};
}

Exit run(const Flags& flags) {
  const Status usable = check_flags(flags);
  if (!usable) return report_error(usable.error());
  const auto input = read_input(flags);
  if (!input) return report_error(input.error());
  result::Report report = new_report(flags, *input);
  const bool recorded = flags.steptime == "recorded" && input->measured.has_value();
  const Status done = recorded ? replay(flags, *input, report) : simulate(flags, *input, report);
  if (!done) return report_error(done.error());
  if (input->measured && (flags.compare || recorded)) {
    const Status compared = simulator::add_comparison(flags.run, report);
    if (!compared) return report_error(compared.error());
    result::decide(report, result::Level::kMust);
  }
  reports::TextOptions options;
  options.color = isatty(STDOUT_FILENO) != 0;
  const std::string text = reports::render(report, reports::format_of(flags.format), options);
  const Status printed = print(text);
  if (!printed) return report_error(printed.error());
  return report.verdict == result::Verdict::kSkip ? Exit::kGood
                                                  : static_cast<Exit>(result::exit_code(report));
}

void add_scheduler_flags(CLI::App& app, SchedulerFlags& flags) {
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
  on_off("--enable-prefix-caching,!--no-enable-prefix-caching", flags.prefix_caching,
         "Reuse blocks of equal prefixes");
  on_off("--enable-chunked-prefill,!--no-enable-chunked-prefill", flags.chunked_prefill,
         "Cut prompts to fit a step");
  std::vector<std::string> policies;
  for (const scheduler::PolicyRow& row : scheduler::policies()) policies.emplace_back(row.name);
  app.add_option("--scheduling-policy", flags.policy,
                 "Who is admitted first (default: the run's, else fcfs)")
      ->check(CLI::IsMember(policies));
}

std::function<Exit()> set_up(CLI::App& app) {
  const auto flags = std::make_shared<Flags>();
  app.add_option("--workload", flags->workload, "Workload file to simulate");
  app.add_option("--run", flags->run,
                 "Folder of a measured run: its requests, flags and, with steps.jsonl, step times");
  add_generated_load(app, flags->generated);
  add_scheduler_flags(app, flags->scheduler);
  std::vector<std::string> usages;
  for (const simulator::StepTimeRow& row : simulator::step_time_models()) {
    usages.emplace_back(row.usage);
  }
  app.add_option(
      "--steptime", flags->steptime,
      "How long a step takes: " + join(usages, " | ") + " (default with steps.jsonl: fitted)");
  app.add_flag("--compare", flags->compare, "With --run: measured beside simulated");
  app.add_option("--seed", flags->seed, "Of generated load; a replay draws nothing at random")
      ->capture_default_str();
  app.add_option("--format", flags->format, "Of the report on stdout")
      ->check(CLI::IsMember(reports::format_words()))
      ->capture_default_str();
  app.add_option("--output", flags->output,
                 "Folder for steps.jsonl and records.jsonl of the simulated run");
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
