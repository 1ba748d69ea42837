#include "cli/load.h"

#include <cmath>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/statistics.h"
#include "base/text.h"
#include "cli/collector_search.h"
#include "cli/duration_flag.h"
#include "cli/generated_load.h"
#include "cli/output.h"
#include "cli/server_access.h"
#include "harness/load/record.h"
#include "harness/load/summary.h"
#include "workload/generate.h"
#include "workload/traces/trace.h"
#include "workload/workload.h"

namespace touchstone::cli {
namespace {

struct Flags {
  AccessFlags access;
  std::string workload;  ///< empty: generated
  GeneratedLoad generated;
  std::string record;
  std::string timeout = "120s";
  double sampled_percent = 100;
  double slow_percent = 0;
  double vanish_percent = 0;
  harness::RecordOptions options;
};

void print_quantiles(const char* name, const std::vector<double>& values) {
  if (values.empty()) return;
  std::printf("%-6s p50 %.3f s   p95 %.3f s   p99 %.3f s   (%zu requests)\n", name,
              quantile(values, 0.5), quantile(values, 0.95), quantile(values, 0.99), values.size());
}

Exit print_outcome(const harness::RecordOutcome& outcome, const Flags& flags) {
  const harness::LoadSummary summary = harness::summarize(outcome.load);
  std::vector<std::string> parts;
  for (const auto& [name, count] : summary.outcomes) {
    parts.push_back(std::to_string(count) + " " + name);
  }
  std::printf("%zu requests to model %s in %.2f s: %s; %.1f output tokens/s\n",
              outcome.load.entries.size(), outcome.model.c_str(), summary.duration_s,
              join(parts, ", ").c_str(), summary.output_tokens_per_s());
  print_quantiles("TTFT", summary.ttft_s);
  print_quantiles("e2e", summary.e2e_s);
  std::fprintf(stderr, "run folder: %s\n", flags.record.c_str());
  if (summary.outcomes.contains("completed") || outcome.load.entries.empty()) return Exit::kGood;
  return report_error(unavailable("load: no request was completed; the first ended with: " +
                                  outcome.load.entries.front().error));
}

/// A workload file or a trace, whole. What of it cannot be kept is said.
Result<workload::Workload> read_whole(const std::string& path, uint64_t seed) {
  auto reader = workload::open_trace(path, "", {.seed = seed});
  if (!reader) return std::move(reader).error();
  workload::Workload workload;
  int64_t thoughts = 0;
  workload::Request request;
  for (;;) {
    const auto there = (*reader)->next(request);
    if (!there) return there.error();
    if (!*there) break;
    thoughts += request.think_ns.has_value();
    workload.requests.push_back(std::move(request));
  }
  const std::string left_out = (*reader)->left_out();
  if (!left_out.empty()) std::fprintf(stderr, "note: left out: %s\n", left_out.c_str());
  if (thoughts > 0) {
    std::fprintf(stderr,
                 "note: %s turns are sent when they arrive, however late the answer before is\n",
                 format_count(thoughts).c_str());
  }
  return workload;
}

Result<workload::Workload> chosen_workload(const Flags& flags) {
  if (flags.workload.empty() != flags.generated.wanted()) {
    return invalid_argument("load: got " +
                                std::string(flags.workload.empty() ? "neither" : "both") +
                                ", expected one of --workload and --requests",
                            "--workload FILE sends a file, --requests N generates");
  }
  if (!flags.workload.empty()) return read_whole(flags.workload, flags.options.seed);
  const auto options = resolve(flags.generated, "load", flags.options.seed);
  if (!options) return options.error();
  auto made = workload::generate(*options);
  if (!made) return made;
  for (workload::Request& request : made->requests) {
    request.stream = true;  // so that the first token's time is seen
  }
  return made;
}

int64_t per_million(double percent) { return std::llround(percent * 1e4); }

Exit run(Flags& flags) {
  auto supervisor = Supervisor::start();
  if (!supervisor) return report_error(supervisor.error());
  const auto timeout = parse_duration_ns(flags.timeout);
  if (!timeout || *timeout <= 0) {
    return report_error(invalid_argument("load: --timeout: got " + quote(flags.timeout) +
                                         ", expected a duration like 30s"));
  }
  flags.options.timeout_ns = *timeout;
  flags.options.sampled_per_million = per_million(flags.sampled_percent);
  flags.options.manners.slow_per_million = per_million(flags.slow_percent);
  flags.options.manners.vanish_per_million = per_million(flags.vanish_percent);
  const auto workload = chosen_workload(flags);
  if (!workload) return report_error(workload.error());
  auto access = resolve(flags.access, "load");
  if (!access) return report_error(access.error());
  flags.options.access = std::move(*access);
  flags.options.description =
      flags.workload.empty() ? flags.generated.describe() : "workload " + flags.workload;
  flags.options.progress = [](const std::string& text) {
    std::fprintf(stderr, "load: %s\n", text.c_str());
  };
  const auto folder =
      records::RunFolderWriter::create(flags.record, records::RunFolderWriter::Former::kRefuse);
  if (!folder) return report_error(Error(folder.error()).with_context("load: --record"));
  const auto outcome =
      harness::record_load(*workload, flags.options, **folder, (*supervisor)->supervision());
  if (!outcome) {
    if (outcome.error().code != ErrorCode::kCancelled) (*folder)->discard();
    return report_error(outcome.error());
  }
  for (const std::string& note : (*folder)->manifest().notes) {
    std::fprintf(stderr, "note: %s\n", note.c_str());
  }
  return print_outcome(*outcome, flags);
}

/// How many clients there are, and how they behave.
void add_client_flags(CLI::App& app, Flags& flags) {
  harness::RecordOptions& options = flags.options;
  app.add_option("--clients", options.clients,
                 "Closed loop: so many clients, each sends the next request when it has its answer "
                 "(default: open loop, each request at its time)")
      ->check(CLI::Range(1, 100000));
  const auto percent = [&app](const char* flag, double& value, const char* help) {
    app.add_option(flag, value, help)->check(CLI::Range(0.0, 100.0))->capture_default_str();
  };
  percent("--sampled-percent", flags.sampled_percent,
          "How many of a hundred requests say in their traceparent that they are sampled");
  percent("--slow-percent", flags.slow_percent, "How many of a hundred clients read slowly");
  add_duration_flag(app, "--read-pause", options.manners.read_pause_ns,
                    "Of a slow client, before each further read");
  percent("--vanish-percent", flags.vanish_percent,
          "How many of a hundred clients close their connection before they have their answer");
  add_duration_flag(app, "--vanish-within", options.manners.vanish_within_ns,
                    "They do so at a moment drawn from this time after sending");
}

std::function<Exit()> set_up(CLI::App& app) {
  const auto flags = std::make_shared<Flags>();
  harness::RecordOptions& options = flags->options;
  app.add_option("--url", options.url, "The server: http[s]://HOST:PORT, with or without /v1")
      ->required();
  add_access_flags(app, flags->access);
  app.add_option("--workload", flags->workload,
                 "What to send: a workload, or a trace (`touchstone workload formats`)");
  add_generated_load(app, flags->generated);
  app.add_option("--record", flags->record, "New folder to write the run to")
      ->required()
      ->check(path_to_write());
  app.add_option("--model", options.model,
                 "Model name in the requests (default: the first served)");
  app.add_option("--seed", options.seed, "Seed of the trace ids and of generated load")
      ->capture_default_str();
  app.add_option("--connections", options.connections_max, "Requests in flight at most")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  add_client_flags(app, *flags);
  app.add_option("--timeout", flags->timeout, "Of one request")->capture_default_str();
  app.add_option("--vocab-size", options.vocab_size,
                 "Token ids to draw from, for generated load and traces without text")
      ->check(CLI::Range(32, 10000000))
      ->capture_default_str();
  return [flags] { return run(*flags); };
}

}  // namespace

Verb load_verb() {
  return {"load", "Send a workload to an OpenAI-compatible server and record the run",
          "touchstone load --url http://127.0.0.1:8000 "
          "--workload fixtures/workloads/quickstart.jsonl --record runs/one",
          set_up};
}

}  // namespace touchstone::cli
