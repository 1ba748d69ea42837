#include "simulator/logs.h"

#include <utility>

#include "records/run_folder.h"
#include "reference_engine/lifecycle/schedule_log.h"

namespace touchstone::simulator {

records::StepRecord step_record(const StepView& step) {
  records::StepRecord record;
  record.start_ns = step.start_ns;
  record.duration_ns = step.duration_ns;
  record.inputs.assign(step.inputs.begin(), step.inputs.end());
  lifecycle::add_plan(step.plan, step.state, record);
  lifecycle::add_finished(step.finished, record);
  return record;
}

std::string replica_folder(const std::string& folder, size_t replica, size_t replicas) {
  return replicas == 1 ? folder : folder + "/replica-" + std::to_string(replica);
}

Result<std::unique_ptr<RunWriter>> RunWriter::open(const std::string& folder,
                                                   std::span<const ReplicaOptions> replicas,
                                                   Observer& next) {
  std::unique_ptr<RunWriter> writer(new RunWriter(next));  // NOLINT: the constructor is private
  for (size_t i = 0; i < replicas.size(); ++i) {
    RETURN_IF_ERROR(
        writer->open_replica(replica_folder(folder, i, replicas.size()), replicas[i].config));
  }
  return writer;
}

Status RunWriter::open_replica(const std::string& folder, const scheduler::Config& config) {
  RETURN_IF_ERROR(make_directories(folder));
  auto steps = LineWriter::open(folder + "/" + records::run_files::kSteps);
  if (!steps) return std::move(steps).error();
  auto records = LineWriter::open(folder + "/" + records::run_files::kRecords);
  if (!records) return std::move(records).error();
  RETURN_IF_ERROR((*steps)->write(to_json_line(lifecycle::header_of(config, "virtual"))));
  files_.push_back({std::move(*steps), std::move(*records)});
  return {};
}

void RunWriter::on_step(const StepView& step) {
  keep(files_[static_cast<size_t>(step.replica)].steps->write(to_json_line(step_record(step))));
  next_.on_step(step);
}

void RunWriter::on_request(int32_t replica, const records::RequestRecord& request) {
  keep(files_[static_cast<size_t>(replica)].records->write(to_json_line(request)));
  next_.on_request(replica, request);
}

Status RunWriter::finish() {
  for (const Files& files : files_) {
    keep(files.steps->flush());
    keep(files.records->flush());
  }
  return status_;
}

void RunWriter::keep(Status status) {
  if (status_ && !status) status_ = std::move(status);
}

}  // namespace touchstone::simulator
