#include "simulator/ledger_writer.h"

#include <utility>

#include "simulator/frontend.h"

namespace touchstone::simulator {
namespace {

constexpr int64_t kOk = 200;
constexpr int64_t kUnavailable = 503;

/// As the workload calls it.
std::string name_of(const std::string& request_id) {
  const std::string_view prefix = "cmpl-";
  return request_id.starts_with(prefix) ? request_id.substr(prefix.size()) : request_id;
}

}  // namespace

Result<std::unique_ptr<LedgerWriter>> LedgerWriter::open(const std::string& path, uint64_t seed,
                                                         const FrontendLatency& frontend) {
  auto lines = LineWriter::open(path);
  if (!lines) return std::move(lines).error();
  return std::unique_ptr<LedgerWriter>(new LedgerWriter(std::move(*lines), seed, frontend));
}

void LedgerWriter::on_step(const StepView& step) {
  const int64_t there_ns =
      step.start_ns + step.duration_ns + frontend_out_ns(frontend_, frontend_streams(step.plan));
  for (const scheduler::ScheduledRequest& r : step.plan.scheduled) {
    if (r.samples_token) chunks_ns_[r.id].push_back(there_ns);
  }
}

records::LedgerEntry LedgerWriter::entry_of(uint64_t id, const std::string& name,
                                            int64_t arrival_ns) {
  records::LedgerEntry entry;
  entry.index = static_cast<int64_t>(id) - 1;
  entry.name = name;
  entry.trace_id = ids_.next_trace_id();
  entry.span_id = ids_.next_span_id();
  entry.endpoint = "/v1/completions";
  entry.model = kSimulatedModel;
  entry.stream = true;
  entry.intended_ns = arrival_ns;
  entry.sent_unix_ns = kEpochUnixNs + arrival_ns;
  return entry;
}

Status LedgerWriter::add(records::RequestRecord& record) {
  const bool hung_up = record.outcome == records::Outcome::kAbort;
  records::LedgerEntry entry = entry_of(record.id, name_of(record.request_id), record.arrival_ns);
  record.trace = records::TraceContext{
      .trace_id = entry.trace_id, .parent_span_id = entry.span_id, .flags = 1, .trace_state = {}};
  if (!record.adapter.empty()) entry.model = record.adapter;
  entry.parameters.max_tokens = record.max_tokens;
  entry.parameters.ignore_eos = record.ignore_eos;
  entry.status = kOk;
  entry.outcome = hung_up ? records::ClientOutcome::kHungUp : records::ClientOutcome::kCompleted;
  entry.response_id = record.request_id;
  entry.prompt_tokens = record.prompt_tokens;
  entry.output_tokens = record.completion_tokens;
  entry.done_ns = record.finished_ns - record.arrival_ns;
  // Of an abort the step that ran meanwhile may have given more than its client waited for.
  std::vector<int64_t> chunks_ns = std::move(chunks_ns_[record.id]);
  chunks_ns_.erase(record.id);
  for (const int64_t at_ns : chunks_ns) {
    if (hung_up && at_ns > record.finished_ns) break;
    entry.chunk_offsets_ns.push_back(at_ns - record.arrival_ns);
  }
  if (!entry.chunk_offsets_ns.empty()) {
    entry.first_chunk_ns = entry.chunk_offsets_ns.front();
    if (!hung_up) entry.done_ns = entry.chunk_offsets_ns.back();
  }
  if (!hung_up) {
    entry.finish_reasons = {records::to_string(record.outcome)};
    entry.usage = records::Usage{.prompt_tokens = record.prompt_tokens,
                                 .completion_tokens = record.completion_tokens,
                                 .cached_tokens = {}};
  }
  return lines_->write(to_json_line(entry));
}

Status LedgerWriter::add_lost(const SimulatedRequest& request, Loss loss, int64_t time_ns) {
  const scheduler::NewRequest& r = request.request;
  records::LedgerEntry entry = entry_of(r.id, request.name, r.arrival_ns);
  entry.parameters.max_tokens = r.max_tokens;
  entry.prompt_tokens = r.num_prompt_tokens;
  entry.done_ns = time_ns - r.arrival_ns;
  switch (loss) {
    case Loss::kRefused:
      entry.status = kUnavailable;
      entry.outcome = records::ClientOutcome::kRefused;
      break;
    case Loss::kGaveUp:
      entry.outcome = records::ClientOutcome::kHungUp;
      break;
    case Loss::kCrashed:
      entry.outcome = records::ClientOutcome::kFailed;
      entry.error = "the replica crashed";
      break;
  }
  return lines_->write(to_json_line(entry));
}

}  // namespace touchstone::simulator
