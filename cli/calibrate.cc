#include "cli/calibrate.h"

#include <unistd.h>

#include <memory>

#include "cli/config_flags.h"
#include "cli/output.h"
#include "reports/reports.h"
#include "simulator/calibrate/calibrate.h"

namespace touchstone::cli {
namespace {

struct Flags {
  simulator::CalibrateOptions options;
  simulator::OperationsOptions operations;
  std::string format = "text";
};

/// Which of the ways to a model was asked for.
Status resolve_flags(Flags& flags) {
  simulator::CalibrateOptions& options = flags.options;
  const bool operations = !flags.operations.folder.empty();
  if (operations && flags.operations.system.empty()) {
    return invalid_argument("calibrate: --system: got none, expected the card, such as h200_sxm");
  }
  if ((operations || !options.profile.empty()) && options.model_config.empty()) {
    return invalid_argument(
        "calibrate: --model-config: got none, expected the model's config.json");
  }
  flags.operations.model_config = options.model_config;
  if (operations) options.operations = flags.operations;
  return {};
}

Exit run(Flags& flags) {
  const Status usable = resolve_flags(flags);
  if (!usable) return report_error(usable.error());
  auto report = simulator::calibrate(flags.options);
  if (!report) return report_error(Error(report.error()).with_context("calibrate"));
  const Status signed_by = add_program_digest(*report);
  if (!signed_by) return report_error(signed_by.error());
  reports::TextOptions options;
  options.color = isatty(STDOUT_FILENO) != 0;
  const Status printed = print(reports::format_of(flags.format).render(*report, options));
  return printed ? Exit::kGood : report_error(printed.error());
}

std::function<Exit()> set_up(CLI::App& app) {
  const auto flags = std::make_shared<Flags>();
  simulator::CalibrateOptions& options = flags->options;
  app.add_option("runs", options.runs,
                 "Measured runs: folders of check, load or serve, of vLLM's own times, or a "
                 "Collector's file of spans with server.json beside it");
  app.add_option("--base", options.base,
                 "Model file whose shape is kept: the runs only anchor it to their server process");
  app.add_option("--fit-share", options.fit_share,
                 "Learn from so much of each run's requests, by arrival, and judge by the rest")
      ->capture_default_str();
  app.add_flag(
      "--recover-steps", options.recover_steps,
      "Find the steps of streamed runs in the times of their tokens, also where spans tell "
      "times (default: where nothing else does)");
  app.add_option("--operations", flags->operations.folder,
                 "Instead of runs: folder of measured operations, SYSTEM.gemm.bf16.csv and others");
  app.add_option("--system", flags->operations.system, "With --operations: the card");
  app.add_option("--dtype", flags->operations.dtype, "With --operations: of weights and cache")
      ->capture_default_str();
  app.add_option("--tp", flags->operations.tensor_parallel, "With --operations: cards of a server")
      ->capture_default_str();
  app.add_option("--profile", options.profile,
                 "Instead of runs: folder of a profile of vLLM's layers, dense.csv and others");
  app.add_option("--model-config", options.model_config,
                 "With --operations and --profile: the model's config.json");
  add_config_flags(
      app, {.defaults = {}, .else_than_default = "the runs', else ", .left_out = {"max_loras"}},
      options.changes);
  app.add_option("--format", flags->format, "Of the report on stdout")
      ->check(CLI::IsMember(reports::format_words()))
      ->capture_default_str();
  app.add_option("--output", options.output, "Model file to write, for simulate --steptime")
      ->required()
      ->check(path_to_write());
  return [flags] { return run(*flags); };
}

}  // namespace

Verb calibrate_verb() {
  return {"calibrate", "Learn step times from measured runs",
          "touchstone calibrate report/run --output model.json", set_up};
}

}  // namespace touchstone::cli
