// Run folders of any server, as its clients saw it. Unknown keys are ignored: machines write these
// files.
#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "records/ledger.h"
#include "records/run_folder.h"
#include "simulator/measured/readers.h"

namespace touchstone::simulator {
namespace {

using records::ClientOutcome;
using records::LedgerEntry;

bool was_completed(const LedgerEntry& entry) {
  return entry.outcome == ClientOutcome::kCompleted && entry.status == 200;
}

/// Hung up, and enough is known to repeat it: it was there until its client went.
bool was_hung_up(const LedgerEntry& entry) {
  return entry.outcome == ClientOutcome::kHungUp && entry.prompt_tokens > 0 && entry.done_ns > 0 &&
         entry.sent_unix_ns > 0 && entry.parameters.max_tokens.value_or(0) > 0 &&
         entry.choices == 1;
}

Status check_completed(const std::string& where, const LedgerEntry& e) {
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

/// From sending, as the client saw it; the engine's own from the span, where there is one.
MeasuredTimes times_of(const LedgerEntry& e, const SpanTimes* span) {
  MeasuredTimes times;
  if (span != nullptr) times = span->times;
  const std::vector<int64_t>& chunks = e.chunk_offsets_ns;
  times.ttft_s = to_seconds(chunks.empty() ? e.done_ns : chunks.front());
  times.e2e_s = to_seconds(e.done_ns);
  times.tpot_s.reset();
  if (e.output_tokens > 1 && chunks.size() > 1) {
    times.tpot_s =
        to_seconds(chunks.back() - chunks.front()) / static_cast<double>(e.output_tokens - 1);
  }
  return times;
}

workload::Request request_of(const LedgerEntry& entry) {
  workload::Request request;
  request.name = entry.name.empty() ? "r" + std::to_string(entry.index) : entry.name;
  request.prompt_tokens = entry.prompt_tokens;
  request.output_tokens =
      was_completed(entry) ? entry.output_tokens : entry.parameters.max_tokens.value_or(1);
  if (std::ssize(entry.prompt_token_ids) == entry.prompt_tokens) {
    request.prompt_token_ids = entry.prompt_token_ids;
  }
  return request;
}

class Reader final {
 public:
  Reader(const std::string& folder, std::map<std::string, SpanTimes> spans)
      : folder_(folder), spans_(std::move(spans)) {}

  Status read(MeasuredLoad& load) {
    const std::string path = folder_ + "/" + records::run_files::kLedger;
    auto ledger = records::read_ledger(path);
    if (!ledger) return std::move(ledger).error();
    load.left_out = static_cast<int64_t>(std::erase_if(
        *ledger, [](const LedgerEntry& e) { return !was_completed(e) && !was_hung_up(e); }));
    if (std::none_of(ledger->begin(), ledger->end(), was_completed)) {
      return unavailable(path + ": got no completed request, expected one or more");
    }
    for (const LedgerEntry& e : *ledger) {
      if (!was_completed(e)) continue;
      RETURN_IF_ERROR(check_completed(path + ": request " + std::to_string(e.index), e));
    }
    by_spans_ = std::all_of(ledger->begin(), ledger->end(),
                            [&](const LedgerEntry& e) { return span_of(e) != nullptr; });
    load.notes.emplace_back(by_spans_ ? "requests arrive when their spans start"
                                      : "requests arrive when they were sent: not all have a span");
    const bool has_ids = std::all_of(ledger->begin(), ledger->end(), [](const LedgerEntry& e) {
      return !e.prompt_token_ids.empty();
    });
    if (!has_ids) {
      load.notes.emplace_back(
          "not all prompts' token ids were recorded: what those share with others is not known, "
          "and counts as computed");
    }
    std::stable_sort(ledger->begin(), ledger->end(),
                     [&](const auto& a, const auto& b) { return arrival_of(a) < arrival_of(b); });
    const int64_t first_ns = arrival_of(ledger->front());
    for (const LedgerEntry& e : *ledger) add(e, first_ns, load);
    return add_digest(path, load);
  }

 private:
  const SpanTimes* span_of(const LedgerEntry& e) const {
    const auto found = spans_.find(e.trace_id.hex());
    return found == spans_.end() ? nullptr : &found->second;
  }
  int64_t arrival_of(const LedgerEntry& e) const {
    return by_spans_ ? span_of(e)->start_ns : e.sent_unix_ns;
  }

  void add(const LedgerEntry& e, int64_t first_ns, MeasuredLoad& load) const {
    MeasuredRequest measured{.request = request_of(e)};
    const int64_t arrival_ns = arrival_of(e);
    measured.request.arrival_ns = arrival_ns - first_ns;
    // Of a stream each chunk is a token, unless text waits for the rest of its bytes.
    const bool whole = std::ssize(e.chunk_offsets_ns) == e.output_tokens;
    if (e.choices == 1 && (whole || !was_completed(e))) {
      for (const int64_t offset_ns : e.chunk_offsets_ns) {
        measured.token_ns.push_back(e.sent_unix_ns + offset_ns - first_ns);
      }
    }
    if (was_completed(e)) {
      measured.times = times_of(e, span_of(e));
    } else {
      measured.abort_ns = std::max(arrival_ns, e.sent_unix_ns + e.done_ns) - first_ns;
    }
    load.requests.push_back(std::move(measured));
  }

  const std::string& folder_;
  const std::map<std::string, SpanTimes> spans_;
  bool by_spans_ = false;
};

}  // namespace

Result<MeasuredLoad> read_ledger_load(const std::string& folder) {
  MeasuredLoad load{.path = folder};
  RETURN_IF_ERROR(read_server(folder + "/" + records::run_files::kServer, load));
  const std::vector<std::string> files = records::RunFolder{folder, {}}.span_files();
  auto spans = read_span_times(files);
  if (!spans) return std::move(spans).error();
  RETURN_IF_ERROR(Reader(folder, std::move(*spans)).read(load));
  for (const std::string& file : files) RETURN_IF_ERROR(add_digest(file, load));
  RETURN_IF_ERROR(read_counters(folder, load));
  return load;
}

}  // namespace touchstone::simulator
