#include "simulator/logs.h"

#include <utility>

#include "base/version.h"
#include "reference_engine/lifecycle/schedule_log.h"

namespace touchstone::simulator {
namespace {

telemetry::VllmMetricsConfig metrics_config(const scheduler::Config& config) {
  return {.model_name = kSimulatedModel,
          .max_model_len = config.max_model_len,
          .cache = {.block_size = config.block_size,
                    .user_specified_block_size = true,
                    .num_gpu_blocks = config.num_blocks,
                    .num_gpu_blocks_override = config.num_blocks,
                    .enable_prefix_caching = config.enable_prefix_caching},
          .started_unix_ns = kEpochUnixNs,
          .process_metrics = false};
}

}  // namespace

records::StepRecord step_record(const StepView& step) {
  records::StepRecord record;
  record.planned_ns = step.planned_ns;
  record.start_ns = step.start_ns;
  record.duration_ns = step.duration_ns;
  record.inputs.assign(step.inputs.begin(), step.inputs.end());
  lifecycle::add_plan(step.plan, step.state, record);
  lifecycle::add_finished(step.finished, record);
  return record;
}

Result<std::unique_ptr<RunWriter>> RunWriter::open(const RunWriterOptions& options,
                                                   std::span<const ReplicaOptions> replicas,
                                                   Observer& next) {
  auto folder =
      records::RunFolderWriter::create(options.folder, records::RunFolderWriter::Former::kRefuse);
  if (!folder) return std::move(folder).error().with_context("--output");
  records::RunManifest& manifest = (*folder)->manifest();
  manifest.verb = "simulate";
  manifest.name = options.name;
  manifest.seed = options.seed;
  manifest.versions["touchstone"] = kVersion;
  manifest.notes.emplace_back("virtual time: 0 is 2026-01-01T00:00:00Z");
  const std::string path = (*folder)->path();
  std::unique_ptr<RunWriter> writer(new RunWriter(std::move(*folder), next));
  for (size_t i = 0; i < replicas.size(); ++i) {
    RETURN_IF_ERROR(
        writer->open_replica(replicas.size() == 1 ? path : path + "/replica-" + std::to_string(i),
                             replicas[i].config, options.seed));
  }
  return writer;
}

Status RunWriter::open_replica(const std::string& folder, const scheduler::Config& config,
                               uint64_t seed) {
  namespace names = records::run_files;
  RETURN_IF_ERROR(make_directories(folder));
  auto steps = LineWriter::open(folder + "/" + names::kSteps);
  if (!steps) return std::move(steps).error();
  auto records = LineWriter::open(folder + "/" + names::kRecords);
  if (!records) return std::move(records).error();
  auto spans =
      SpanFile::open(folder + "/" + names::kSpans, seed, static_cast<int32_t>(files_.size()));
  if (!spans) return std::move(spans).error();
  RETURN_IF_ERROR((*steps)->write(to_json_line(lifecycle::header_of(config, "virtual"))));
  files_.push_back({folder, std::move(*steps), std::move(*records), std::move(*spans),
                    std::make_unique<telemetry::VllmMetrics>(metrics_config(config))});
  return {};
}

void RunWriter::on_step(const StepView& step) {
  keep(of(step.replica).steps->write(to_json_line(step_record(step))));
  next_.on_step(step);
}

void RunWriter::on_request(int32_t replica, const records::RequestRecord& request) {
  Files& files = of(replica);
  keep(files.records->write(to_json_line(request)));
  keep(files.spans->add(request));
  files.metrics->on_finish(request);
  next_.on_request(replica, request);
}

void RunWriter::on_stats(int32_t replica, const records::StepStats& stats) {
  of(replica).metrics->on_step(stats);
}

Status RunWriter::finish() {
  for (const Files& files : files_) {
    keep(files.steps->close());
    keep(files.records->close());
    keep(files.spans->finish());
    keep(write_file_atomic(files.folder + "/" + records::run_files::kMetrics,
                           files.metrics->render()));
  }
  if (status_) keep(folder_->finish());
  return status_;
}

void RunWriter::keep(Status status) {
  if (status_ && !status) status_ = std::move(status);
}

}  // namespace touchstone::simulator
