#include "cli/collector.h"

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "cli/collector_receive.h"
#include "cli/collector_search.h"
#include "cli/collector_validate.h"
#include "cli/output.h"
#include "harness/collector/build.h"
#include "harness/collector/config.h"
#include "harness/collector/find.h"
#include "harness/shipped.h"

namespace touchstone::cli {
namespace {

constexpr char kDefaultConfig[] = "collector_configs/quickstart.yaml";

struct Flags {
  std::string collector;
  std::string config;
  std::string format = "text";
  bool force = false;
};

/// The configuration whose components are needed: the given one, or the shipped one.
Result<harness::Components> needed_components(const Flags& flags) {
  std::string config = flags.config;
  if (config.empty()) {
    auto shipped = harness::shipped_path(harness::program_path(), kDefaultConfig);
    if (!shipped) return std::move(shipped).error();
    config = std::move(*shipped);
  }
  return harness::components_of_config(config);
}

void print_binary(const harness::CollectorBinary& binary, const Flags& flags) {
  if (flags.format == "json") {
    const nlohmann::ordered_json found = {{"path", binary.path},
                                          {"version", binary.version},
                                          {"found_by", binary.found_by},
                                          {"components", binary.components}};
    std::printf("%s\n", found.dump(2).c_str());
    return;
  }
  std::printf("%s\nversion %s, found by %s; it has every component that is needed\n",
              binary.path.c_str(), binary.version.c_str(), binary.found_by.c_str());
}

Result<harness::CollectorBinary> find_binary(const Flags& flags, Supervisor& supervisor) {
  const auto needed = needed_components(flags);
  if (!needed) return needed.error();
  return harness::find_collector(collector_search(flags.collector), *needed,
                                 supervisor.supervision());
}

Exit find(const Flags& flags) {
  auto supervisor = Supervisor::start();
  if (!supervisor) return report_error(supervisor.error());
  const auto binary = find_binary(flags, **supervisor);
  if (!binary) return report_error(binary.error());
  print_binary(*binary, flags);
  return Exit::kGood;
}

Exit build(const Flags& flags) {
  auto supervisor = Supervisor::start();
  if (!supervisor) return report_error(supervisor.error());
  const auto manifest =
      harness::shipped_path(harness::program_path(), "harness/collector/otelcol/builder.yaml");
  if (!manifest) return report_error(manifest.error());
  harness::CollectorBuild plan;
  plan.sources = manifest->substr(0, manifest->rfind('/'));
  plan.cache = cache_folder();
  plan.force = flags.force;
  plan.progress = [](const std::string& text) {
    std::fprintf(stderr, "collector build: %s\n", text.c_str());
  };
  const auto binary = harness::build_collector(plan, (*supervisor)->supervision());
  if (!binary) return report_error(binary.error());
  const auto needed = needed_components(flags);
  if (!needed) return report_error(needed.error());
  const auto missing = harness::missing_components(*needed, binary->components);
  if (!missing.empty()) {
    return report_error(
        unavailable(binary->path + ": lacks " + join({missing.begin(), missing.end()}, ", ")));
  }
  print_binary(*binary, flags);
  return Exit::kGood;
}

std::function<Exit()> set_up(CLI::App& app) {
  const auto flags = std::make_shared<Flags>();
  const auto fix = std::make_shared<bool>(false);
  using Level = harness::LintFinding::Level;
  const auto fail_on = std::make_shared<Level>(Level::kError);
  const std::map<std::string, Level> levels = {
      {"note", Level::kNote}, {"warning", Level::kWarning}, {"error", Level::kError}};
  app.require_subcommand(1);
  CLI::App* find_app = app.add_subcommand("find", "Print the Collector that would be used");
  CLI::App* build_app = app.add_subcommand(
      "build", "Build the Collector from its Go modules into the cache (6 min on 2 cores, once)");
  CLI::App* validate_app = app.add_subcommand(
      "validate",
      "Ask the real Collector whether a configuration is right, and look for what it does not say");
  CLI::App* receive_app = app.add_subcommand(
      "receive", "Take spans over OTLP/gRPC and write them to a file, as a backend to try with");
  const auto receive = std::make_shared<ReceiveFlags>();
  receive_app->add_option("--listen", receive->listen, "127.0.0.1:PORT")->capture_default_str();
  receive_app->add_option("--spans", receive->spans, "File for the spans, OTLP/JSON lines; emptied")
      ->required()
      ->check(path_to_write());
  receive_app->footer("Example:\n  touchstone collector receive --spans spans.otlp.jsonl");
  for (CLI::App* sub : {find_app, validate_app}) {
    sub->add_option("--collector", flags->collector,
                    "The Collector's binary; else TOUCHSTONE_COLLECTOR, PATH, the cache");
  }
  for (CLI::App* sub : {find_app, build_app}) {
    sub->add_option("--config", flags->config,
                    "Configuration whose components are needed (default: the quickstart's)");
    sub->add_option("--format", flags->format, "text or json")
        ->check(CLI::IsMember({"text", "json"}))
        ->capture_default_str();
  }
  find_app->footer("Example:\n  touchstone collector find --format json");
  build_app->footer("Example:\n  touchstone collector build");
  validate_app->footer(
      "Example:\n  touchstone collector validate collector_configs/quickstart.yaml");
  build_app->add_flag("--force", flags->force, "Build even when the cache has one");
  validate_app->add_option("file", flags->config, "The configuration")->required();
  validate_app->add_flag("--fix", *fix,
                         "Write what can be mended into the file, and show the difference");
  validate_app
      ->add_option("--fail-on", *fail_on,
                   "Exit 1 from this level on: note, warning or error (names of former versions, "
                   "settings that lose spans)")
      ->transform(CLI::CheckedTransformer(levels))
      ->default_str("error");
  return [=] {
    if (find_app->parsed()) return find(*flags);
    if (build_app->parsed()) return build(*flags);
    if (receive_app->parsed()) return receive_spans(*receive);
    return validate_collector(
        {.collector = flags->collector, .config = flags->config, .fix = *fix, .fail_on = *fail_on});
  };
}

}  // namespace

Verb collector_verb() {
  return {"collector", "Find, build or ask the real OpenTelemetry Collector; receive spans",
          "touchstone collector validate collector_configs/quickstart.yaml", set_up};
}

}  // namespace touchstone::cli
