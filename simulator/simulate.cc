#include "simulator/simulate.h"

#include <cstdio>
#include <filesystem>
#include <memory>
#include <system_error>
#include <utility>
#include <vector>

#include "base/files.h"
#include "base/memory.h"
#include "base/text.h"
#include "base/version.h"
#include "records/run_folder.h"
#include "reference_engine/scheduler/policies.h"
#include "reference_engine/scheduler/scheduler.h"
#include "result/result_json.h"
#include "simulator/against.h"
#include "simulator/cluster/cluster_file.h"
#include "simulator/compare.h"
#include "simulator/compare_load.h"
#include "simulator/frontend.h"
#include "simulator/logs.h"
#include "simulator/measured/load.h"
#include "simulator/measured_run.h"
#include "simulator/progress_observer.h"
#include "simulator/replay.h"
#include "simulator/report.h"
#include "simulator/session_source.h"
#include "simulator/simulation.h"
#include "simulator/sources.h"
#include "simulator/steptime/model_file.h"
#include "simulator/steptime/parse.h"
#include "simulator/time_series.h"
#include "workload/traces/trace.h"

namespace touchstone::simulator {
namespace {

constexpr int64_t kMostReplicas = 10'000;
/// Charts get coarser from here on.
constexpr int64_t kFinestChartNs = 1'000'000;
/// What the scheduler keeps of a KV block: its state, three places in the free list, its share of
/// the index by hash at its emptiest (measured: 53 bytes a block at 20 million).
constexpr int64_t kBytesOfBlock = 32 + 3 * 4 + 12;

/// What is simulated, read.
struct Input {
  scheduler::Config config;
  std::vector<StepSample> samples;
  std::unique_ptr<workload::RequestReader> workload;
  std::optional<workload::GenerateOptions> generated;
  std::optional<MeasuredRun> measured;  ///< with steps.jsonl, else `load`
  std::optional<MeasuredLoad> load;     ///< any measured run, where its measured times matter
};

using MakeSource = std::unique_ptr<RequestSource>(WorkloadFeed, const scheduler::Config&);

Status check_options(const SimulateOptions& o) {
  const bool generates = o.generated.has_value();
  const int inputs = !o.workload.empty() + generates + (!o.run.empty() && !generates);
  if (inputs != 1 || (!o.workload.empty() && !o.run.empty())) {
    return invalid_argument(
        "got " + std::string(inputs == 0 ? "none" : "several") +
            ", expected one of --workload, --requests and --run",
        "--workload FILE simulates a file, --requests N generates, --run FOLDER "
        "repeats a measured run or lends --requests its flags and step times");
  }
  const bool repeats = !o.run.empty() && !generates;
  if (o.compare && (!repeats || o.closed_loop)) {
    return invalid_argument("--compare: got other requests, expected those of a measured run");
  }
  if (o.timeout_ns && repeats) {
    return invalid_argument(
        "--request-timeout: got it with a measured run, whose clients did what "
        "they did, expected --workload or --requests");
  }
  const bool by_flags = o.replicas == 1 && o.router == "round-robin" && o.step_time.empty();
  if (!o.cluster.empty() && (!by_flags || o.compare)) {
    return invalid_argument(
        "--cluster: got it with --replicas, --router, --steptime or --compare, expected none of "
        "them",
        "the file says which replicas there are");
  }
  if (o.step_time.empty() && o.run.empty() && o.cluster.empty()) {
    return invalid_argument("--steptime: got none, expected how long a step takes",
                            "for example --steptime constant:20ms");
  }
  if (o.step_time == "recorded" && generates) {
    return invalid_argument("--steptime recorded: got other requests than the recorded",
                            "use --steptime fitted");
  }
  std::error_code ignored;
  if (!o.run.empty() && std::filesystem::equivalent(o.run, o.output, ignored)) {
    return invalid_argument("--output: got the folder of --run, expected another one");
  }
  if (o.replicas < 1 || o.replicas > kMostReplicas) {
    return invalid_argument("--replicas: got " + std::to_string(o.replicas) + ", expected 1 to " +
                            std::to_string(kMostReplicas));
  }
  if (o.replicas > 1 && (o.compare || o.step_time == "recorded")) {
    return invalid_argument("--replicas: got " + std::to_string(o.replicas) +
                            " with --compare or recorded step times, expected 1: the measured run "
                            "is one server's");
  }
  return {};
}

/// The folder's settings and step times, and its requests.
Status read_run(const SimulateOptions& options, Input& input) {
  const bool has_steps = std::filesystem::exists(options.run + "/" + records::run_files::kSteps);
  if (!has_steps || options.compare) {
    auto load = read_measured_load(options.run);
    if (!load) return std::move(load).error();
    input.config = load->config;
    input.load = std::move(*load);
  }
  if (!has_steps) return {};
  auto measured = read_measured_run(options.run);
  if (!measured) return std::move(measured).error();
  input.config = measured->config;
  input.samples = step_samples(measured->log);
  input.measured = std::move(*measured);
  return {};
}

Result<Input> read_input(const SimulateOptions& options) {
  Input input;
  if (!options.workload.empty()) {
    auto workload =
        workload::open_trace(options.workload, options.workload_format, {.seed = options.seed});
    if (!workload) return std::move(workload).error();
    input.workload = std::move(*workload);
  }
  if (!options.run.empty()) {
    RETURN_IF_ERROR(read_run(options, input));
  } else if (!options.changes.contains("num_blocks") && options.cluster.empty()) {
    return invalid_argument(
        "--num-gpu-blocks-override: got none, expected the blocks of the KV cache",
        "vLLM logs it at start-up as \"# GPU blocks\"");
  }
  RETURN_IF_ERROR(scheduler::set_values(options.changes, input.config));
  if (options.cluster.empty()) RETURN_IF_ERROR(scheduler::validate(input.config));
  if (options.generated) {
    input.generated = options.generated;
    input.generated->prefix_block_size = input.config.block_size;
  }
  return input;
}

/// The blocks hold no keys and values here, but the scheduler accounts for each.
Status check_memory(const std::vector<ReplicaOptions>& replicas) {
  double wanted = 0;
  for (const ReplicaOptions& replica : replicas) {
    wanted += static_cast<double>(replica.config.num_blocks * kBytesOfBlock);
  }
  const auto available = static_cast<double>(read_memory_limits().available_bytes);
  if (wanted <= available) return {};
  const auto gib = [](double bytes) { return format_fixed(bytes / 0x1p30, 1) + " GiB"; };
  const std::string servers =
      replicas.size() > 1 ? " on each of " + format_count(std::ssize(replicas)) + " replicas" : "";
  return invalid_argument("--num-gpu-blocks-override: got " +
                          format_count(replicas.front().config.num_blocks) + servers +
                          ", whose account takes about " + gib(wanted) +
                          ", expected what fits into the " + gib(available) + " that are free");
}

/// The clients of requests that name no timeout give up after this one, if any.
WorkloadFeed with_timeout(WorkloadFeed feed, std::optional<int64_t> timeout_ns) {
  if (!timeout_ns) return feed;
  return [feed = std::move(feed), timeout_ns](workload::Request& request) -> Result<bool> {
    auto there = feed(request);
    if (there && *there && !request.timeout_ns) request.timeout_ns = timeout_ns;
    return there;
  };
}

/// In a closed loop a client's next request follows its last one, so that sessions say nothing.
std::unique_ptr<RequestSource> make_source(const SimulateOptions& options, const Input& input,
                                           const scheduler::Config& config) {
  const auto of_feed = options.closed_loop ? static_cast<MakeSource*>(&make_workload_source)
                                           : static_cast<MakeSource*>(&make_session_source);
  std::unique_ptr<RequestSource> source;
  if (input.generated) {
    source = of_feed(with_timeout(generator_feed(*input.generated), options.timeout_ns), config);
  } else if (input.measured) {
    source = make_record_source(input.measured->records);
  } else if (input.load) {
    source = make_load_source(*input.load, config);
  } else {
    source = of_feed(with_timeout([&reader = *input.workload](
                                      workload::Request& request) { return reader.next(request); },
                                  options.timeout_ns),
                     config);
  }
  if (options.closed_loop) return make_closed_loop_source(*options.closed_loop, std::move(source));
  return source;
}

/// What is simulated, in words.
std::string name_of(const SimulateOptions& options) {
  if (options.generated) return options.generated_as;
  return options.run.empty() ? options.workload : options.run;
}

result::Report new_report(const SimulateOptions& options, const Input& input) {
  result::Report report;
  report.title = "simulate " + name_of(options);
  report.verdict = result::Verdict::kSkip;
  report.provenance.tool_version = kVersion;
  report.provenance.seed = options.seed;
  const scheduler::Config& c = input.config;
  if (options.cluster.empty())
    report.notes.push_back(
        std::to_string(c.num_blocks) + " blocks of " + std::to_string(c.block_size) + ", " +
        std::to_string(c.max_num_seqs) + " sequences, " + std::to_string(c.max_num_batched_tokens) +
        " tokens a step, model length " + std::to_string(c.max_model_len) + ", " +
        scheduler::to_string(c.policy) + (c.enable_prefix_caching ? "" : ", no prefix caching") +
        (c.enable_chunked_prefill ? "" : ", no chunked prefill") +
        (c.async_scheduling ? ", steps planned one ahead" : ""));
  if (options.replicas > 1) {
    report.notes.push_back(std::to_string(options.replicas) + " replicas behind " + options.router);
  }
  if (options.closed_loop) {
    report.notes.push_back(std::to_string(options.closed_loop->concurrency) +
                           " clients in a closed loop, each with one request at a time");
  }
  if (input.load && !input.generated) {
    report.notes.insert(report.notes.end(), input.load->notes.begin(), input.load->notes.end());
    if (input.load->left_out > 0) {
      report.notes.push_back(std::to_string(input.load->left_out) +
                             " requests that were not completed are left out");
    }
  }
  if (input.load) report.provenance.digests = input.load->digests;
  return report;
}

std::string hex(uint64_t value) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(value));
  return text;
}

/// The loads' requests from which a model file was learned are not held against it.
Status compare_load(const SimulateOptions& options, const MeasuredLoad& load,
                    const scheduler::Config& config, const StepTimeModel& model,
                    result::Report& report) {
  LoadComparison comparison{.from = 0, .seed = options.seed};
  if (is_model_file(options.step_time)) {
    const auto file = read_model_file(options.step_time);
    if (!file) return file.error();
    comparison.from = requests_learned_from(*file, load.digests);
    if (comparison.from >= load.requests.size()) {
      comparison.from = 0;
      report.notes.emplace_back(
          "the model was learned from these very requests: the errors are of its fit, not of a "
          "prediction");
    }
    if (!file->anchor.fitted) {
      report.notes.emplace_back(
          "the model is of no server process in particular: another process of the same hardware "
          "was seen to decode 14 % slower; calibrate --base anchors it to one");
    }
  }
  return add_load_comparison(load, config, model, comparison, report);
}

/// The replicas that the flags ask for: all alike.
Result<Cluster> make_equal_replicas(const SimulateOptions& options, const Input& input) {
  const std::string step_time =
      options.step_time.empty() ? (input.samples.empty() ? "" : "fitted") : options.step_time;
  if (step_time.empty()) {
    return invalid_argument(
        "--steptime: got none, expected how long a step takes",
        "the run has no step log to learn it from: give a model of it, for example "
        "--steptime linear:5ms,20us,300us");
  }
  auto model = parse_step_time(step_time, input.samples);
  if (!model) return std::move(model).error();
  Cluster cluster;
  cluster.router = options.router;
  for (int64_t i = 0; i < options.replicas; ++i) {
    cluster.replicas.push_back({input.config, **model});
  }
  cluster.models.push_back(std::move(*model));
  return cluster;
}

Result<Cluster> make_replicas(const SimulateOptions& options, const Input& input,
                              result::Report& report) {
  if (options.cluster.empty()) {
    auto cluster = make_equal_replicas(options, input);
    if (cluster) report.notes.push_back("step time " + cluster->models.front()->describe());
    return cluster;
  }
  const auto file = read_cluster(options.cluster);
  if (!file) return file.error();
  auto cluster = make_cluster(*file, input.config);
  if (!cluster) return std::move(cluster).error().with_context(options.cluster);
  for (size_t i = 0; i < file->replicas.size(); ++i) {
    const HardwareRow& row = file->replicas[i];
    report.notes.push_back(std::to_string(row.count) + " x " + row.name + ": step time " +
                           cluster->models[i]->describe());
  }
  report.notes.push_back(std::to_string(cluster->replicas.size()) + " replicas behind " +
                         cluster->router);
  return cluster;
}

/// Charts, and the file where there is a folder.
Status add_series(const SimulateOptions& options, const SimulationEnd& end, TimeSeries& series,
                  result::Report& report) {
  RETURN_IF_ERROR(series.finish(end.end_ns));
  for (result::Chart& chart : series.charts()) report.charts.push_back(std::move(chart));
  if (options.output.empty() || options.scrape_interval_ns == 0) return {};
  return write_file_atomic(options.output + "/timeseries.csv", series.csv());
}

Status compare_with_other(const std::string& path, result::Report& report) {
  const auto text = read_file(path);
  if (!text) return text.error();
  const auto other = result::report_from_json(path, *text);
  if (!other) return other.error();
  add_against(*other, report);
  return {};
}

Status run(const SimulateOptions& options, const Input& input, result::Report& report) {
  const auto cluster = make_replicas(options, input, report);
  if (!cluster) return cluster.error();
  const std::vector<ReplicaOptions>& replicas = cluster->replicas;
  RETURN_IF_ERROR(check_memory(replicas));
  const scheduler::Config& first = replicas.front().config;
  const auto router = make_router(
      cluster->router,
      {.seed = options.seed, .cache_blocks = first.num_blocks, .block_size = first.block_size});
  if (!router) return router.error();
  // Its own, so that neither router sees the other's choices.
  const auto decode_router = make_router(
      cluster->router,
      {.seed = ~options.seed, .cache_blocks = first.num_blocks, .block_size = first.block_size});
  if (!decode_router) return decode_router.error();
  ClusterSummary summary(replicas.size());
  // The times in what is written are the engine's: only the summary is the clients'.
  FrontendObserver clients(replicas, summary);
  std::unique_ptr<RunWriter> writer;
  Observer* written = &clients;
  if (!options.output.empty()) {
    auto opened = RunWriter::open({.folder = options.output,
                                   .name = name_of(options),
                                   .seed = options.seed,
                                   .crashes_are_final = !cluster->fleet.retry},
                                  replicas, clients);
    if (!opened) return std::move(opened).error();
    writer = std::move(*opened);
    written = writer.get();
  }
  std::optional<TimeSeries> series;
  if (options.scrape_interval_ns > 0) {
    series.emplace(*written, options.scrape_interval_ns, replicas.size());
  } else if (options.charts) {
    series.emplace(*written, kFinestChartNs, replicas.size(), TimeSeries::Interval::kAsFits);
  }
  if (series) written = &*series;
  ProgressObserver observer(*written, options.progress);
  const auto source = make_source(options, input, first);
  const auto end = run_simulation(replicas, **router, *source, observer, options.seed,
                                  cluster->fleet, decode_router->get());
  Status whole = end ? Status() : Status(end.error());
  if (whole && series) whole = add_series(options, *end, *series, report);
  if (whole && writer) whole = writer->finish();
  if (!whole) {
    if (writer) writer->discard();
    return whole;
  }
  const std::string left_out = input.workload ? input.workload->left_out() : std::string();
  if (!left_out.empty()) report.notes.push_back("left out of the trace: " + left_out);
  const Summary total = summary.total();
  add_simulation(total, total_of(end->counters), report);
  if (options.charts) add_distributions(total, report);
  if (replicas.size() > 1) add_replicas(summary.replicas(), end->counters, report);
  add_cost(cluster->price_per_hour, end->on_ns, total, report);
  if (total.extrapolated_steps > 0) {
    report.notes.push_back(std::to_string(total.extrapolated_steps) + " of " +
                           std::to_string(total.steps) +
                           " steps are outside of what the step-time model was made for");
  }
  report.notes.push_back(std::to_string(end->events) + " events, fingerprint " +
                         hex(end->fingerprint));
  if (!options.against.empty()) {
    RETURN_IF_ERROR(compare_with_other(options.against, report));
  }
  if (options.compare)
    return compare_load(options, *input.load, input.config, *cluster->models.front(), report);
  return {};
}

/// The logged schedule with the logged times: nothing is predicted.
Status replay(const SimulateOptions& options, const Input& input, result::Report& report) {
  if (!options.output.empty() || !options.changes.empty() || options.closed_loop) {
    return invalid_argument(
        "--steptime recorded: got it with --output, --concurrency or scheduler flags, expected "
        "none of them",
        "it repeats the recorded schedule; use --steptime fitted to change anything");
  }
  const auto replayed = replay_step_log(input.measured->log, input.measured->records);
  if (!replayed) return replayed.error();
  Summary summary;
  for (const records::StepRecord& step : replayed->steps) {
    summary.add_step(step, input.config.num_blocks - 1);
  }
  for (const records::RequestRecord& request : replayed->requests) summary.on_request(0, request);
  add_simulation(summary, replayed->counters, report);
  report.notes.push_back("step time recorded: inputs, order and times as logged");
  return {};
}

}  // namespace

Result<result::Report> simulate(const SimulateOptions& options) {
  RETURN_IF_ERROR(check_options(options));
  const auto input = read_input(options);
  if (!input) return input.error();
  result::Report report = new_report(options, *input);
  const bool recorded = options.step_time == "recorded" && input->measured.has_value();
  RETURN_IF_ERROR(recorded ? replay(options, *input, report) : run(options, *input, report));
  if (input->measured && (options.compare || recorded)) {
    RETURN_IF_ERROR(add_comparison(options.run, report));
    result::decide(report, result::Level::kMust);
  }
  return report;
}

}  // namespace touchstone::simulator
