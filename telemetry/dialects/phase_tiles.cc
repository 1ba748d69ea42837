#include "telemetry/dialects/phase_tiles.h"

#include <algorithm>

#include "telemetry/dialects/request_span.h"

namespace touchstone::telemetry {
namespace {

using records::RequestRecord;
using Kind = Phase::Kind;

/// A chunk, or a time without blocks; in the order in which they began.
struct Turn {
  int64_t start_ns = 0;
  int64_t end_ns = 0;
  int64_t tokens = 0;
  bool is_chunk = false;
};

std::vector<Turn> turns_of(const RequestRecord& record) {
  std::vector<Turn> turns;
  turns.reserve(record.prefill_chunks.size() + record.preempted.size() + 1);
  const auto end_of = [&](int64_t end_ns) { return end_ns == 0 ? record.finished_ns : end_ns; };
  for (const records::PrefillChunk& chunk : record.prefill_chunks) {
    turns.push_back({chunk.start_ns, end_of(chunk.end_ns), chunk.tokens, true});
  }
  if (turns.empty()) {  // a record that does not know: the prompt in one
    turns.push_back({*record.first_scheduled_ns, record.first_token_ns.value_or(record.finished_ns),
                     record.prompt_tokens - record.cached_tokens, true});
  }
  for (const records::Preemption& preemption : record.preempted) {
    turns.push_back({preemption.start_ns, end_of(preemption.end_ns), 0, false});
  }
  std::stable_sort(turns.begin(), turns.end(),
                   [](const Turn& a, const Turn& b) { return a.start_ns < b.start_ns; });
  return turns;
}

/// Lays phase after phase; none ends before it starts, nor after the limit.
class Tiler final {
 public:
  Tiler(std::vector<Phase>& phases, int64_t start_ns, int64_t limit_ns)
      : phases_(phases), at_ns_(start_ns), limit_ns_(limit_ns) {}

  void set_limit(int64_t limit_ns) { limit_ns_ = std::max(at_ns_, limit_ns); }
  /// A phase until then, even if it takes no time.
  Phase& add(Kind kind, int64_t until_ns) {
    const int64_t end_ns = std::clamp(until_ns, at_ns_, limit_ns_);
    phases_.push_back({.kind = kind,
                       .start_ns = at_ns_,
                       .end_ns = end_ns,
                       .execution_end_ns = end_ns,
                       .tokens = 0});
    at_ns_ = end_ns;
    return phases_.back();
  }
  void add_unless_empty(Kind kind, int64_t until_ns) {
    if (std::min(until_ns, limit_ns_) > at_ns_) add(kind, until_ns);
  }

 private:
  std::vector<Phase>& phases_;
  int64_t at_ns_;
  int64_t limit_ns_;
};

void add_turns(const RequestRecord& record, int64_t end_ns, Tiler& tiler) {
  const std::vector<Turn> turns = turns_of(record);
  for (size_t i = 0; i < turns.size(); ++i) {
    const Turn& turn = turns[i];
    const bool is_last = i + 1 == turns.size();
    const int64_t next_ns = is_last ? end_ns : turns[i + 1].start_ns;
    // Its prompt is whole with the last chunk before something else, from the first token on.
    const bool decodes_then = record.first_token_ns && *record.first_token_ns <= turn.end_ns &&
                              (is_last || !turns[i + 1].is_chunk);
    if (!turn.is_chunk) {
      tiler.add_unless_empty(Kind::kPreempted, turn.end_ns);
    } else if (decodes_then) {
      tiler.add(Kind::kPrefill, turn.end_ns).tokens = turn.tokens;
    } else {
      Phase& chunk = tiler.add(Kind::kPrefill, std::max(turn.end_ns, next_ns));
      chunk.tokens = turn.tokens;
      chunk.execution_end_ns = std::clamp(turn.end_ns, chunk.start_ns, chunk.end_ns);
    }
    if (decodes_then) tiler.add_unless_empty(Kind::kDecode, next_ns);
  }
}

}  // namespace

std::vector<Phase> phases_of(const RequestRecord& record) {
  std::vector<Phase> phases;
  phases.reserve(record.prefill_chunks.size() + 2 * record.preempted.size() + 5);
  Tiler tiler(phases, record.arrival_ns, std::max(record.arrival_ns, record.finished_ns));
  tiler.add(Kind::kFrontend, record.queued_ns.value_or(record.finished_ns));
  if (!record.queued_ns) return phases;
  tiler.add(Kind::kQueue, record.first_scheduled_ns.value_or(record.finished_ns));
  if (record.first_scheduled_ns) {
    const int64_t end_ns =
        is_failure(record) ? record.finished_ns : record.last_token_ns.value_or(record.finished_ns);
    tiler.set_limit(end_ns);
    add_turns(record, end_ns, tiler);
    tiler.add_unless_empty(Kind::kDecode, end_ns);
    tiler.set_limit(record.finished_ns);
  }
  tiler.add(Kind::kFrontend, record.finished_ns);
  return phases;
}

}  // namespace touchstone::telemetry
