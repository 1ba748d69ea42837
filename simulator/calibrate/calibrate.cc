#include "simulator/calibrate/calibrate.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <optional>
#include <utility>

#include "base/files.h"
#include "base/sha256.h"
#include "base/text.h"
#include "base/version.h"
#include "simulator/calibrate/counters_model.h"
#include "simulator/calibrate/judge.h"
#include "simulator/calibrate/learn.h"
#include "simulator/calibrate/recover_steps.h"
#include "simulator/calibrate/vllm_profile.h"

namespace touchstone::simulator {
namespace {

struct HeldOut {
  std::string how;
  std::vector<std::pair<std::string, Errors>> errors;  ///< by run
};

std::string name_of(const std::string& path) {
  const std::filesystem::path normal = std::filesystem::path(path).lexically_normal();
  const std::filesystem::path last =
      normal.has_filename() ? normal.filename() : normal.parent_path().filename();
  return last.string();
}

/// The steps of a streamed run, where they are wanted or nothing else tells times of work.
Status add_recovered_steps(bool wanted, MeasuredLoad& load) {
  const bool has_times =
      std::any_of(load.requests.begin(), load.requests.end(),
                  [](const MeasuredRequest& r) { return r.times.prefill_s && r.times.decode_s; });
  const bool has_tokens = std::any_of(load.requests.begin(), load.requests.end(),
                                      [](const MeasuredRequest& r) { return !r.token_ns.empty(); });
  if (!load.steps.empty() || (!wanted && (has_times || !has_tokens))) return {};
  auto found = recover_steps(load);
  if (!found) return std::move(found).error();
  const std::string parity = format_fixed(100 * found->parity(), 2) + " %";
  if (found->parity() < kLeastParity) {
    return invalid_argument(
        load.path + ": steps from the times of tokens: " + format_count(found->matched) + " of " +
            format_count(found->output_steps) + " have the requests that the scheduler gives (" +
            parity + "), expected at least 99 %",
        "are the server's flags right, and were all its requests recorded?");
  }
  load.notes.push_back("steps recovered from the times of tokens: " + format_count(found->matched) +
                       " of " + format_count(found->output_steps) +
                       " have the requests that the scheduler gives (" + parity + "); of " +
                       format_count(std::ssize(found->steps)) + " start and end were seen");
  load.step_parity = found->parity();
  load.steps = std::move(found->steps);
  return {};
}

Result<std::vector<MeasuredLoad>> read_loads(const CalibrateOptions& options) {
  std::vector<MeasuredLoad> loads;
  for (const std::string& run : options.runs) {
    auto load = read_measured_load(run);
    if (!load) return std::move(load).error();
    Status usable = scheduler::set_values(options.changes, load->config);
    if (usable) usable = scheduler::validate(load->config);
    if (!usable) return std::move(usable).error().with_context(run);
    RETURN_IF_ERROR(add_recovered_steps(options.recover_steps, *load));
    loads.push_back(std::move(*load));
  }
  return loads;
}

std::vector<FitLoad> parts_of(const std::vector<MeasuredLoad>& loads, double share) {
  std::vector<FitLoad> parts;
  for (const MeasuredLoad& load : loads) {
    parts.push_back(
        {&load, static_cast<size_t>(std::ceil(share * static_cast<double>(load.requests.size())))});
  }
  return parts;
}

Result<Errors> errors_of(const FitLoad& fit, const ModelFile& file, size_t from) {
  ModelFile quiet = file;
  quiet.noise = {};
  const auto trial = simulate_load(*fit.load, fit.load->config, *make_step_time(quiet), 0);
  if (!trial) return trial.error();
  return judge(*fit.load, *trial, from);
}

/// Each run predicted by what was learned from the others.
Result<HeldOut> judge_by_runs(const std::vector<FitLoad>& parts, const ModelFile* base) {
  HeldOut held_out{.how = "each run predicted from the others"};
  for (size_t out = 0; out < parts.size(); ++out) {
    std::vector<FitLoad> others = parts;
    others.erase(others.begin() + static_cast<std::ptrdiff_t>(out));
    const auto learned = learn(others, base);
    if (!learned) {
      held_out.how = "not judged: without " + name_of(parts[out].load->path) +
                     " the others do not identify the model";
      held_out.errors.clear();
      return held_out;
    }
    const auto errors = errors_of(parts[out], learned->file, 0);
    if (!errors) return errors.error();
    held_out.errors.emplace_back(name_of(parts[out].load->path), *errors);
  }
  return held_out;
}

/// The later requests of each run predicted by what was learned from the earlier ones.
Result<HeldOut> judge_by_halves(const std::vector<FitLoad>& parts, const ModelFile& file) {
  HeldOut held_out{.how = "the requests of each run that came after those it learned from"};
  for (const FitLoad& part : parts) {
    const auto errors = errors_of(part, file, part.requests);
    if (!errors) return errors.error();
    held_out.errors.emplace_back(name_of(part.load->path), *errors);
  }
  return held_out;
}

Result<HeldOut> judge_held_out(const std::vector<MeasuredLoad>& loads,
                               const std::vector<FitLoad>& parts, const CalibrateOptions& options,
                               const ModelFile* base, const ModelFile& file) {
  if (options.fit_share < 1) return judge_by_halves(parts, file);
  if (parts.size() > 1) return judge_by_runs(parts, base);
  const std::vector<FitLoad> halves = parts_of(loads, 0.5);
  const auto learned = learn(halves, base);
  if (!learned) {
    return HeldOut{.how = "not judged: half of the run does not identify the model", .errors = {}};
  }
  return judge_by_halves(halves, learned->file);
}

void add_error(const std::string& key, const std::optional<LatencyError>& error,
               result::Figure& figure, std::vector<result::Figure>& rows) {
  if (!error) return;
  figure = {.name = key, .unit = "ratio"};
  figure.values = {{"mean", error->mean}, {"p50", error->p50}, {"p95", error->p95}};
  rows.push_back(figure);
}

result::FigureTable table_of(const std::string& title, const Errors& errors) {
  result::FigureTable table{.title = title, .columns = {"mean", "p50", "p95"}};
  result::Figure figure;
  add_error("TTFT error", errors.ttft, figure, table.rows);
  add_error("TTFT error, those below 1 s", errors.short_ttft, figure, table.rows);
  add_error("TPOT error", errors.tpot, figure, table.rows);
  add_error("e2e error", errors.e2e, figure, table.rows);
  table.notes.push_back(format_count(errors.requests) + " requests, simulated over measured - 1");
  return table;
}

/// The worst over the runs, under the names that programs ask for.
std::map<std::string, double> worst_of(const HeldOut& held_out) {
  std::map<std::string, double> worst;
  const auto take = [&](const char* key, const std::optional<LatencyError>& error) {
    if (!error) return;
    const auto [place, added] = worst.try_emplace(key, error->mean);
    if (!added && std::abs(error->mean) > std::abs(place->second)) place->second = error->mean;
  };
  for (const auto& [run, errors] : held_out.errors) {
    take("ttft_mean_error", errors.ttft);
    take("tpot_mean_error", errors.tpot);
    take("e2e_mean_error", errors.e2e);
  }
  return worst;
}

std::vector<ModelOrigin> origins_of(const std::vector<FitLoad>& parts, const ModelFile* base) {
  std::vector<ModelOrigin> origins;
  if (base != nullptr) origins = base->origins;
  for (const FitLoad& part : parts) {
    const MeasuredLoad& load = *part.load;
    origins.push_back({.name = name_of(load.path),
                       .engine = load.engine,
                       .model = load.model,
                       .hardware = load.hardware,
                       .role = base == nullptr ? "shape and anchor" : "anchor",
                       .requests = std::ssize(load.requests),
                       .fitted = static_cast<int64_t>(part.requests),
                       .digests = load.digests});
  }
  return origins;
}

result::Report report_of(const CalibrateOptions& options, const std::vector<MeasuredLoad>& loads,
                         const Learned& learned, const HeldOut& held_out) {
  result::Report report{.title = "calibrate " + join(options.runs, " "),
                        .verdict = result::Verdict::kSkip};
  report.provenance.tool_version = kVersion;
  for (const MeasuredLoad& load : loads) {
    for (const auto& [file, digest] : load.digests) {
      report.provenance.digests[name_of(load.path) + "/" + file] = digest;
    }
    for (const std::string& note : load.notes) {
      report.notes.push_back(name_of(load.path) + ": " + note);
    }
  }
  for (const auto& [run, errors] : held_out.errors) {
    report.tables.push_back(table_of("Held out: " + run, errors));
  }
  report.figures = learned.file.held_out;
  for (const MeasuredLoad& load : loads) {
    if (!load.step_parity) continue;
    const auto [figure, added] = report.figures.try_emplace("step_parity", *load.step_parity);
    if (!added) figure->second = std::min(figure->second, *load.step_parity);
  }
  report.notes.push_back("held out: " + held_out.how);
  report.notes.push_back(make_step_time(learned.file)->describe());
  const FrontendLatency& f = learned.file.frontend;
  const auto us = [](double ns) { return format_fixed(ns / 1000, 1) + " us"; };
  report.notes.push_back("frontend: " + us(f.in_ns) + " in, " + us(f.in_ns_per_prompt_token) +
                         " more per prompt token, " + us(f.out_ns) + " out, " +
                         us(f.out_ns_per_stream) + " more per active stream");
  report.notes.push_back("chance: a step varies by " +
                         format_fixed(100 * learned.file.noise.sigma, 1) +
                         " %, with the next step by " +
                         format_fixed(learned.file.noise.correlation, 3) + " in common");
  const Validity& v = learned.file.validity;
  report.notes.push_back("learned from steps of " + format_count(v.low.decode_requests) + " to " +
                         format_count(v.high.decode_requests) + " decode requests, up to " +
                         format_count(v.high.prefill_tokens) + " prefill tokens");
  if (!learned.file.unidentified.empty()) {
    report.notes.push_back("the runs say nothing of: " + join(learned.file.unidentified, ", "));
  }
  report.notes.insert(report.notes.end(), learned.file.notes.begin(), learned.file.notes.end());
  report.notes.push_back(std::to_string(learned.rounds) + " rounds; model: " + options.output);
  return report;
}

/// What some steps take, so that a reader sees at once whether the model is sane.
result::FigureTable step_examples(const StepTimeModel& model) {
  result::FigureTable table{.title = "Steps", .columns = {"time"}};
  StepNoise noise(0, "examples");
  for (const int64_t requests : {1, 32, 128}) {
    const StepFeatures features{.decode_requests = requests,
                                .sampled_requests = requests,
                                .context_tokens = 1000 * requests};
    table.rows.push_back(
        {std::to_string(requests) + " decoding after 1,000 tokens each",
         "s",
         {{"time", static_cast<double>(model.duration_ns(features, noise)) / 1e9}}});
  }
  for (const int64_t tokens : {512, 2048}) {
    const StepFeatures features{.prefill_requests = 1,
                                .prefill_tokens = tokens,
                                .sampled_requests = 1,
                                .prefill_attention = tokens * (tokens + 1) / 2};
    table.rows.push_back(
        {"a prompt of " + format_count(tokens) + " tokens",
         "s",
         {{"time", static_cast<double>(model.duration_ns(features, noise)) / 1e9}}});
  }
  return table;
}

/// A model from something else than requests.
Result<result::Report> compose(const CalibrateOptions& options, const Result<ModelFile>& file) {
  if (!file) return file.error();
  RETURN_IF_ERROR(write_file_atomic(options.output, model_file_json(*file)));
  result::Report report{.title = options.runs.empty() ? "calibrate without a run"
                                                      : "calibrate " + join(options.runs, " "),
                        .verdict = result::Verdict::kSkip};
  report.provenance.tool_version = kVersion;
  for (const ModelOrigin& origin : file->origins) {
    for (const auto& [name, digest] : origin.digests) {
      report.provenance.digests[options.runs.empty() ? name : origin.name + "/" + name] = digest;
    }
  }
  report.tables.push_back(step_examples(*make_step_time(*file)));
  report.notes.push_back(make_step_time(*file)->describe());
  if (!file->unidentified.empty()) {
    report.notes.push_back("nothing was said of: " + join(file->unidentified, ", "));
  }
  report.notes.insert(report.notes.end(), file->notes.begin(), file->notes.end());
  report.notes.push_back("model: " + options.output);
  return report;
}

}  // namespace

Result<result::Report> calibrate(const CalibrateOptions& options) {
  const bool composes = options.operations || !options.profile.empty();
  if (options.operations && options.runs.empty()) {
    return compose(options, compose_operations(*options.operations));
  }
  if (composes && options.runs.empty()) {
    return compose(options, compose_vllm_profile(options.profile, options.model_config));
  }
  if (composes) {
    return invalid_argument("got runs with --operations or --profile, expected one of them",
                            "compose a model first, then refine it: calibrate RUN --base MODEL");
  }
  if (options.runs.empty()) return invalid_argument("got no run, expected one or more folders");
  if (!(options.fit_share > 0 && options.fit_share <= 1)) {
    return invalid_argument("--fit-share: got " + format_double(options.fit_share) +
                            ", expected more than 0 and at most 1");
  }
  const int64_t counters =
      std::count_if(options.runs.begin(), options.runs.end(), has_counters_alone);
  if (counters == std::ssize(options.runs) && options.base.empty()) {
    return compose(options, model_of_counters(options.runs));
  }
  if (counters > 0) {
    return invalid_argument(
        "got a run of counters alone with --base or other runs, expected such "
        "runs by themselves",
        "metrics say too little to be weighed with times of requests");
  }
  std::optional<ModelFile> base;
  if (!options.base.empty()) {
    auto read = read_model_file(options.base);
    if (!read) return std::move(read).error();
    base = std::move(*read);
  }
  const ModelFile* base_file = base ? &*base : nullptr;
  const auto loads = read_loads(options);
  if (!loads) return loads.error();
  const std::vector<FitLoad> parts = parts_of(*loads, options.fit_share);
  auto learned = learn(parts, base_file);
  if (!learned) return std::move(learned).error();
  const auto held_out = judge_held_out(*loads, parts, options, base_file, learned->file);
  if (!held_out) return held_out.error();
  learned->file.held_out = worst_of(*held_out);
  learned->file.origins = origins_of(parts, base_file);
  RETURN_IF_ERROR(write_file_atomic(options.output, model_file_json(learned->file)));
  return report_of(options, *loads, *learned, *held_out);
}

}  // namespace touchstone::simulator
