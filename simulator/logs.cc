#include "simulator/logs.h"

#include <utility>

#include "reference_engine/lifecycle/schedule_log.h"
#include "simulator/sources.h"

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

records::RequestRecord request_record(const RequestTimes& r, int64_t block_size) {
  records::RequestRecord record;
  record.id = r.id;
  record.request_id = r.name;
  record.endpoint = "/v1/completions";
  record.model = "simulated";
  record.arrival_unix_ns = r.arrival_ns;  // virtual time starts at the Unix epoch
  record.arrival_ns = r.arrival_ns;
  record.queued_ns = r.queued_ns;
  record.first_scheduled_ns = r.first_scheduled_ns;
  record.first_token_ns = r.first_token_ns;
  record.last_token_ns = r.last_token_ns;
  record.finished_ns = r.finished_ns;
  record.prompt_tokens = r.prompt_tokens;
  record.cached_tokens = r.cached_tokens;
  record.completion_tokens = r.completion_tokens;
  record.preemptions = r.preemptions;
  record.max_tokens = r.max_tokens;
  record.ignore_eos = true;
  record.priority = r.priority;
  record.skip_reading_prefix_cache = r.skip_reading_prefix_cache;
  record.outcome = r.outcome;
  record.block_size = block_size;
  for (const scheduler::BlockHash& hash : r.block_hashes) {
    record.block_hashes.push_back(format_block_hash(hash));
  }
  return record;
}

LogWriter::LogWriter(std::unique_ptr<LineWriter> steps, std::unique_ptr<LineWriter> records,
                     int64_t block_size, Observer& next)
    : steps_(std::move(steps)),
      records_(std::move(records)),
      block_size_(block_size),
      next_(next) {}

Result<std::unique_ptr<LogWriter>> LogWriter::open(const std::string& folder,
                                                   const scheduler::Config& config,
                                                   Observer& next) {
  RETURN_IF_ERROR(make_directories(folder));
  auto steps = LineWriter::open(folder + "/steps.jsonl");
  if (!steps) return std::move(steps).error();
  auto records = LineWriter::open(folder + "/records.jsonl");
  if (!records) return std::move(records).error();
  RETURN_IF_ERROR((*steps)->write(to_json_line(lifecycle::header_of(config, "virtual"))));
  return std::unique_ptr<LogWriter>(
      new LogWriter(std::move(*steps), std::move(*records), config.block_size, next));  // NOLINT
}

void LogWriter::on_step(const StepView& step) {
  keep(steps_->write(to_json_line(step_record(step))));
  next_.on_step(step);
}

void LogWriter::on_request(const RequestTimes& request) {
  keep(records_->write(to_json_line(request_record(request, block_size_))));
  next_.on_request(request);
}

Status LogWriter::finish() {
  keep(steps_->flush());
  keep(records_->flush());
  return status_;
}

void LogWriter::keep(Status status) {
  if (status_ && !status) status_ = std::move(status);
}

}  // namespace touchstone::simulator
