#include "harness/bench/bench_runner.h"

#include <sys/utsname.h>

#include <algorithm>
#include <fstream>
#include <thread>

#include "base/files.h"
#include "base/ids.h"
#include "base/statistics.h"
#include "base/text.h"
#include "harness/load/generator.h"
#include "harness/load/summary.h"
#include "harness/process/capture.h"
#include "harness/scrape.h"
#include "workload/generate.h"

namespace touchstone::harness {
namespace {

using records::BenchRun;
using records::BenchSeries;

constexpr int64_t kProgramNs = 600 * kNsPerSecond;

Result<std::vector<BenchSeries>> run_program(const BenchCase& one, const BenchSubject& subject,
                                             const Supervision& supervision) {
  SpawnOptions spawn;
  spawn.name = one.program;
  spawn.argv = {subject.folder + "/" + one.program, "--benchmark_format=json"};
  spawn.argv.insert(spawn.argv.end(), one.arguments.begin(), one.arguments.end());
  const auto ran = run_and_capture(std::move(spawn), supervision, kProgramNs);
  if (!ran) return ran.error();
  if (!ran->status.good()) {
    return unavailable(subject.name + ": " + one.program + " ended with " + ran->status.text() +
                       ": " + ran->errors.substr(0, 400));
  }
  return records::read_google_benchmark(subject.name + ": " + one.program, ran->output);
}

/// Everything is sent at once and `concurrency` connections take it: a closed loop. Latencies run
/// from the sending of each request.
workload::Workload workload_of(const BenchCase& one) {
  workload::Workload load;
  for (int64_t i = 0; i < one.requests; ++i) {
    workload::Request request;
    request.name = std::to_string(i);
    request.prompt_tokens = one.prompt_tokens;
    request.output_tokens = one.output_tokens;
    request.sampling.ignore_eos = true;
    request.sampling.temperature = 0;
    request.stream = true;
    load.requests.push_back(std::move(request));
  }
  return load;
}

Result<std::vector<BenchSeries>> series_of_load(const LoadOutcome& outcome) {
  std::vector<double> ttft, tpot, e2e;
  int64_t tokens = 0;
  for (const records::LedgerEntry& entry : outcome.entries) {
    if (entry.outcome != records::ClientOutcome::kCompleted) {
      return unavailable("a request was not completed: " + entry.error + " (status " +
                         std::to_string(entry.status) + ")");
    }
    tokens += entry.output_tokens;
    e2e.push_back(to_seconds(entry.done_ns));
    if (!entry.first_chunk_ns) continue;
    ttft.push_back(to_seconds(*entry.first_chunk_ns));
    if (entry.output_tokens > 1) {
      tpot.push_back(to_seconds(entry.done_ns - *entry.first_chunk_ns) /
                     static_cast<double>(entry.output_tokens - 1));
    }
  }
  const double seconds = to_seconds(outcome.duration_ns);
  std::vector<BenchSeries> series = {
      {"output throughput", "tokens/s", true, {static_cast<double>(tokens) / seconds}},
      {"request throughput",
       "requests/s",
       true,
       {static_cast<double>(outcome.entries.size()) / seconds}}};
  const auto add = [&](const char* name, const std::vector<double>& values) {
    if (values.empty()) return;
    series.push_back({name + std::string(" p50"), "s", false, {quantile(values, 0.5)}});
    series.push_back({name + std::string(" p95"), "s", false, {quantile(values, 0.95)}});
  };
  add("ttft", ttft);
  add("tpot", tpot);
  add("e2e", e2e);
  return series;
}

Result<std::vector<BenchSeries>> run_requests(const BenchCase& one, const BenchSubject& subject,
                                              const std::string& scratch,
                                              const Supervision& supervision) {
  const auto base = server_base(subject.url);
  if (!base) return base.error();
  std::string model = subject.model;
  if (model.empty()) {
    auto served = served_model(*base, {});
    if (!served) return std::move(served).error();
    model = std::move(served->id);
  }
  const workload::Workload load = workload_of(one);
  LoadTarget target;
  target.url = *base;
  target.model = model;
  target.workload = &load;
  LoadOptions options;
  options.ledger_path = scratch + "/requests.jsonl";
  options.connections_max = one.concurrency;
  if (supervision.signals != nullptr) {
    options.watches.push_back(
        {supervision.signals->fd(), [&] { return supervision.signals->check(); }});
  }
  const auto outcome = run_load({target}, options, supervision.clock);
  if (!outcome) return outcome.error();
  return series_of_load(*outcome);
}

/// The names of a case's figures begin with the case's.
std::vector<BenchSeries> named(const std::string& name, std::vector<BenchSeries> series) {
  for (BenchSeries& one : series) one.name = name + "/" + one.name;
  return series;
}

std::string first_line_with(const std::string& path, const std::string& key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(key)) return std::string(trim(line.substr(line.find(':') + 1)));
  }
  return "";
}

}  // namespace

std::map<std::string, std::string> machine_facts() {
  std::map<std::string, std::string> facts;
  facts["cpu"] = first_line_with("/proc/cpuinfo", "model name");
  facts["cores"] = std::to_string(std::thread::hardware_concurrency());
  std::ifstream load("/proc/loadavg");
  std::getline(load, facts["load average at the start"]);
  utsname kernel{};
  if (::uname(&kernel) == 0) facts["kernel"] = std::string(kernel.sysname) + " " + kernel.release;
  return facts;
}

Result<std::vector<BenchRun>> run_bench(const BenchSuite& suite, const BenchOptions& options,
                                        const Supervision& supervision) {
  auto scratch = TemporaryDirectory::make("touchstone-bench");
  if (!scratch) return std::move(scratch).error();
  const int64_t started = supervision.clock.unix_ns();
  auto facts = machine_facts();
  facts["touchstone"] = options.version;
  facts["started"] = std::to_string(started / kNsPerSecond);
  std::vector<BenchRun> runs(suite.subjects.size());
  for (size_t i = 0; i < runs.size(); ++i) {
    runs[i].subject = suite.subjects[i].name;
    runs[i].session = std::to_string(started);
    runs[i].facts = facts;
  }
  for (int64_t repeat = 0; repeat <= suite.repeats; ++repeat) {
    options.progress(repeat == 0 ? "warm-up"
                                 : "repeat " + std::to_string(repeat) + " of " +
                                       std::to_string(suite.repeats));
    for (const BenchCase& one : suite.cases) {
      for (size_t k = 0; k < runs.size(); ++k) {
        // Who begins changes: what the first does to the machine is not always done to one.
        const size_t i = repeat % 2 == 0 ? k : runs.size() - 1 - k;
        const BenchSubject& subject = suite.subjects[i];
        auto series = one.program.empty() ? run_requests(one, subject, scratch->path(), supervision)
                                          : run_program(one, subject, supervision);
        if (!series) {
          return std::move(series).error().with_context(subject.name + ": " + one.name);
        }
        if (repeat > 0) records::add_series(named(one.name, std::move(*series)), runs[i].series);
      }
    }
  }
  return runs;
}

}  // namespace touchstone::harness
