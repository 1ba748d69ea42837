#include "simulator/logs.h"

#include <utility>

#include "base/random.h"
#include "base/version.h"
#include "records/server_description.h"
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

/// The ids of clients are of another stream than those of the server's spans.
uint64_t ledger_seed(uint64_t seed, size_t server) {
  uint64_t state = ~seed + server;
  return splitmix64(state);
}

records::ServerDescription description_of(const ReplicaOptions& replica, const std::string& name) {
  records::ServerDescription server{
      .engine = "touchstone simulate", .version = kVersion, .description = name};
  for (const scheduler::ConfigField& field : scheduler::config_fields()) {
    if (!field.flag.empty()) {
      server.flags[std::string(field.flag)] = scheduler::get(replica.config, field);
    }
  }
  server.model["steptime"] = replica.model.describe();
  return server;
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
  manifest.profiles = {"vllm-v1"};
  manifest.load_start_unix_ns = kEpochUnixNs;
  manifest.versions["touchstone"] = kVersion;
  manifest.notes.emplace_back("virtual time: 0 is 2026-01-01T00:00:00Z");
  const std::string path = (*folder)->path();
  std::unique_ptr<RunWriter> writer(new RunWriter(options, std::move(*folder), next));
  for (size_t i = 0; i < replicas.size(); ++i) {
    RETURN_IF_ERROR(writer->open_replica(
        replicas.size() == 1 ? path : path + "/replica-" + std::to_string(i), replicas[i]));
  }
  return writer;
}

Status RunWriter::open_replica(const std::string& folder, const ReplicaOptions& replica) {
  namespace names = records::run_files;
  RETURN_IF_ERROR(make_directories(folder));
  Files files{.folder = folder};
  auto steps = LineWriter::open(folder + "/" + names::kSteps);
  if (!steps) return std::move(steps).error();
  files.steps = std::move(*steps);
  auto records = LineWriter::open(folder + "/" + names::kRecords);
  if (!records) return std::move(records).error();
  files.records = std::move(*records);
  auto spans = SpanFile::open(folder + "/" + names::kSpans, options_.seed,
                              static_cast<int32_t>(files_.size()));
  if (!spans) return std::move(spans).error();
  files.spans = std::move(*spans);
  auto ledger =
      LedgerWriter::open(folder + "/" + names::kLedger, ledger_seed(options_.seed, files_.size()),
                         replica.model.frontend());
  if (!ledger) return std::move(ledger).error();
  files.ledger = std::move(*ledger);
  files.metrics = std::make_unique<telemetry::VllmMetrics>(metrics_config(replica.config));
  records::StepLogHeader header = lifecycle::header_of(replica.config, "virtual");
  if (replica.offload || replica.role == Role::kDecode) header.config[kExternalKv] = true;
  RETURN_IF_ERROR(files.steps->write(to_json_line(header)));
  RETURN_IF_ERROR(write_file_atomic(folder + "/" + names::kMetricsBefore, files.metrics->render()));
  RETURN_IF_ERROR(write_file_atomic(folder + "/" + names::kServer,
                                    records::server_json(description_of(replica, options_.name))));
  files_.push_back(std::move(files));
  return {};
}

void RunWriter::on_step(const StepView& step) {
  keep(of(step.replica).steps->write(to_json_line(step_record(step))));
  of(step.replica).ledger->on_step(step);
  next_.on_step(step);
}

void RunWriter::write(int32_t replica, const records::RequestRecord& request) {
  Files& files = of(replica);
  records::RequestRecord traced = request;
  keep(files.ledger->add(traced));
  keep(files.records->write(to_json_line(traced)));
  keep(files.spans->add(traced));
  files.metrics->on_finish(traced);
}

void RunWriter::on_request(int32_t replica, const records::RequestRecord& request) {
  write(replica, request);
  next_.on_request(replica, request);
}

void RunWriter::on_prefilled(int32_t replica, const records::RequestRecord& request) {
  write(replica, request);
  next_.on_prefilled(replica, request);
}

void RunWriter::on_lost(const SimulatedRequest& request, Loss loss, int64_t time_ns) {
  const bool final = loss != Loss::kCrashed || options_.crashes_are_final;
  if (LedgerWriter* const ledger = final ? lost_ledger() : nullptr) {
    keep(ledger->add_lost(request, loss, time_ns));
  }
  next_.on_lost(request, loss, time_ns);
}

LedgerWriter* RunWriter::lost_ledger() {
  if (files_.size() == 1) return files_.front().ledger.get();
  if (!lost_) {
    auto opened = LedgerWriter::open(folder_->file(records::run_files::kLedger),
                                     ledger_seed(options_.seed, files_.size()), {});
    if (!opened) {
      keep(opened.error());
      return nullptr;
    }
    lost_ = std::move(*opened);
  }
  return lost_.get();
}

void RunWriter::on_stats(int32_t replica, const records::StepStats& stats) {
  of(replica).metrics->on_step(stats);
}

Status RunWriter::finish() {
  for (const Files& files : files_) {
    keep(files.steps->close());
    keep(files.records->close());
    keep(files.spans->finish());
    keep(files.ledger->close());
    keep(write_file_atomic(files.folder + "/" + records::run_files::kMetrics,
                           files.metrics->render()));
  }
  if (lost_) keep(lost_->close());
  if (status_) keep(folder_->finish());
  return status_;
}

void RunWriter::keep(Status status) {
  if (status_ && !status) status_ = std::move(status);
}

}  // namespace touchstone::simulator
