#include "simulator/run_folder.h"

#include <algorithm>
#include <map>
#include <utility>

#include "records/ledger.h"
#include "records/run_folder.h"
#include "records/server_description.h"
#include "telemetry/otlp/file.h"

namespace touchstone::simulator {
namespace {

/// Flags in vLLM's spelling; absent ones keep the default.
Status read_flags(const std::string& path, scheduler::Config& config) {
  const auto server = records::read_server_description(path);
  if (!server) return server.error();
  for (const scheduler::ConfigField& field : scheduler::config_fields()) {
    const auto flag = server->flags.find(std::string(field.flag));
    if (flag == server->flags.end()) continue;
    Status status = scheduler::set(config, field, flag->second);
    if (!status) {
      return std::move(status).error().with_context(path + ": flags." + std::string(field.flag));
    }
  }
  return {};
}

bool was_completed(const records::LedgerEntry& entry) {
  return entry.outcome == records::ClientOutcome::kCompleted && entry.status == 200;
}

Status check_completed(const std::string& where, const records::LedgerEntry& e) {
  const auto bad = [&](const char* field, int64_t got, const std::string& expected) {
    return invalid_argument(where + ": " + field + ": got " + std::to_string(got) + ", expected " +
                            expected);
  };
  if (e.sent_unix_ns < 1) return bad("sent_unix_ns", e.sent_unix_ns, "when it was sent");
  if (e.prompt_tokens < 1) return bad("prompt_tokens", e.prompt_tokens, "at least 1");
  if (e.output_tokens < 1) return bad("output_tokens", e.output_tokens, "at least 1");
  if (e.done_ns < 1) return bad("done_ns", e.done_ns, "when it was over");
  const int64_t ids = std::ssize(e.prompt_token_ids);
  if (ids > 0 && ids != e.prompt_tokens) {
    return bad("prompt_token_ids", ids, std::to_string(e.prompt_tokens) + " ids");
  }
  return {};
}

MeasuredLatency latency_of(const records::LedgerEntry& e) {
  const auto seconds = [](int64_t ns) { return static_cast<double>(ns) / 1e9; };
  const std::vector<int64_t>& chunks = e.chunk_offsets_ns;
  MeasuredLatency measured{.ttft_s = seconds(chunks.empty() ? e.done_ns : chunks.front()),
                           .e2e_s = seconds(e.done_ns)};
  if (e.output_tokens > 1 && chunks.size() > 1) {
    measured.tpot_s =
        seconds(chunks.back() - chunks.front()) / static_cast<double>(e.output_tokens - 1);
  }
  return measured;
}

using SpanStarts = std::map<std::string, int64_t>;  // by trace id in hex

/// When the server began with each trace: the start of its first span. Empty without spans.
Result<SpanStarts> read_span_starts(const std::string& folder) {
  SpanStarts starts;
  const auto visit = [&](const telemetry::TraceBatch& batch, int64_t) -> Status {
    for (const telemetry::ResourceSpans& resource : batch) {
      for (const telemetry::ScopeSpans& scope : resource.scope_spans) {
        for (const telemetry::Span& span : scope.spans) {
          const auto [place, added] = starts.try_emplace(span.trace_id.hex(), span.start_unix_ns);
          if (!added) place->second = std::min(place->second, span.start_unix_ns);
        }
      }
    }
    return {};
  };
  for (const std::string& path : records::RunFolder{folder, {}}.span_files()) {
    const auto read = telemetry::read_otlp_file(path, visit);
    if (!read) return read.error();
  }
  return starts;
}

workload::Request request_of(const records::LedgerEntry& entry) {
  workload::Request request;
  request.name = entry.name.empty() ? "r" + std::to_string(entry.index) : entry.name;
  request.prompt_tokens = entry.prompt_tokens;
  request.output_tokens = entry.output_tokens;
  request.prompt_token_ids = entry.prompt_token_ids;
  return request;
}

}  // namespace

Result<RunFolder> read_run_folder(const std::string& folder) {
  namespace files = records::run_files;
  RunFolder run;
  RETURN_IF_ERROR(read_flags(folder + "/" + files::kServer, run.config));
  const std::string path = folder + "/" + files::kLedger;
  auto ledger = records::read_ledger(path);
  if (!ledger) return std::move(ledger).error();
  run.left_out = static_cast<int64_t>(
      std::erase_if(*ledger, [](const records::LedgerEntry& e) { return !was_completed(e); }));
  if (ledger->empty()) {
    return unavailable(path + ": got no completed request, expected one or more");
  }
  for (const records::LedgerEntry& entry : *ledger) {
    RETURN_IF_ERROR(check_completed(path + ": request " + std::to_string(entry.index), entry));
  }
  const auto starts = read_span_starts(folder);
  if (!starts) return starts.error();
  run.arrivals_from_spans = std::all_of(
      ledger->begin(), ledger->end(),
      [&](const records::LedgerEntry& entry) { return starts->contains(entry.trace_id.hex()); });
  const auto arrival_of = [&](const records::LedgerEntry& entry) {
    return run.arrivals_from_spans ? starts->at(entry.trace_id.hex()) : entry.sent_unix_ns;
  };
  std::stable_sort(ledger->begin(), ledger->end(),
                   [&](const auto& a, const auto& b) { return arrival_of(a) < arrival_of(b); });
  const int64_t first_ns = arrival_of(ledger->front());
  for (const records::LedgerEntry& entry : *ledger) {
    run.workload.requests.push_back(request_of(entry));
    run.workload.requests.back().arrival_ns = arrival_of(entry) - first_ns;
    run.measured.push_back(latency_of(entry));
  }
  return run;
}

}  // namespace touchstone::simulator
