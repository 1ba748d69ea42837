#include "simulator/logs.h"

#include <utility>

#include "base/version.h"
#include "reference_engine/scheduler/policies.h"
#include "simulator/sources.h"

namespace touchstone::simulator {

telemetry::StepLogHeader step_log_header(const scheduler::Config& config) {
  return {.engine = std::string("touchstone ") + kVersion,
          .clock = "virtual",
          .num_blocks = config.num_blocks,
          .block_size = config.block_size,
          .max_num_seqs = config.max_num_seqs,
          .max_num_batched_tokens = config.max_num_batched_tokens,
          .max_model_len = config.max_model_len,
          .long_prefill_token_threshold = config.long_prefill_token_threshold,
          .watermark_blocks = config.watermark_blocks,
          .enable_prefix_caching = config.enable_prefix_caching,
          .enable_chunked_prefill = config.enable_chunked_prefill,
          .reserve_full_prompt = config.reserve_full_prompt,
          .policy = to_string(config.policy)};
}

Result<scheduler::Config> config_of(const telemetry::StepLogHeader& header) {
  scheduler::Config config;
  const std::pair<int64_t, int32_t*> fields[] = {
      {header.block_size, &config.block_size},
      {header.max_num_seqs, &config.max_num_seqs},
      {header.max_num_batched_tokens, &config.max_num_batched_tokens},
      {header.max_model_len, &config.max_model_len},
      {header.long_prefill_token_threshold, &config.long_prefill_token_threshold}};
  for (const auto& [value, field] : fields) {
    if (value < INT32_MIN || value > INT32_MAX) {
      return invalid_argument("step log: got " + std::to_string(value) +
                              ", expected a number of 32 bits");
    }
    *field = static_cast<int32_t>(value);
  }
  config.num_blocks = header.num_blocks;
  config.watermark_blocks = header.watermark_blocks;
  config.enable_prefix_caching = header.enable_prefix_caching;
  config.enable_chunked_prefill = header.enable_chunked_prefill;
  config.reserve_full_prompt = header.reserve_full_prompt;
  const auto policy = scheduler::parse_policy(header.policy);
  if (!policy) {
    return invalid_argument("step log: policy: got \"" + header.policy +
                            "\", expected fcfs or priority");
  }
  config.policy = *policy;
  Status status = scheduler::validate(config);
  if (!status) return std::move(status).error().with_context("step log");
  return config;
}

telemetry::StepRecord step_record(const StepView& step) {
  telemetry::StepRecord record;
  record.step = step.plan.step;
  record.start_ns = step.start_ns;
  record.duration_ns = step.duration_ns;
  record.inputs.assign(step.inputs.begin(), step.inputs.end());
  for (const scheduler::ScheduledRequest& r : step.plan.scheduled) {
    record.requests.push_back({.id = r.id,
                               .computed = r.num_computed_tokens,
                               .scheduled = r.num_scheduled_tokens,
                               .samples = r.samples_token,
                               .cached = r.num_cached_tokens,
                               .prefill = r.num_computed_tokens < r.num_prompt_tokens});
  }
  record.preempted.assign(step.plan.preempted.begin(), step.plan.preempted.end());
  for (const scheduler::FinishedRequest& f : step.finished) {
    record.finished.push_back({f.id, to_string(f.reason)});
  }
  record.running = step.state.running;
  record.waiting = step.state.waiting;
  record.free_blocks = step.state.free_blocks;
  record.cached_blocks = step.state.cached_blocks;
  return record;
}

telemetry::RequestRecord request_record(const RequestTimes& r, int64_t block_size) {
  telemetry::RequestRecord record;
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
  RETURN_IF_ERROR((*steps)->write(to_json_line(step_log_header(config))));
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
