// What is kept of spans after they passed, for the checks that look at all of them at the end: of
// the run, and of each profile. A few dozen bytes a span, never the span; and of so many spans, the
// rest goes to files. Thread-compatible.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "conformance/budgets.h"
#include "conformance/coverage.h"
#include "conformance/evidence.h"
#include "conformance/examples.h"
#include "conformance/families.h"
#include "conformance/matching.h"
#include "conformance/profile/compiled.h"
#include "conformance/reconciled.h"
#include "conformance/redeliveries.h"
#include "conformance/sightings.h"
#include "conformance/span_register.h"
#include "conformance/span_view.h"

namespace touchstone::conformance {

/// Of the run, whatever the profile.
struct ObservedRun {
  ObservedRun(const Evidence& evidence, size_t spans_in_memory);
  /// True when the ids are those of a span that a client sent in its traceparent.
  bool is_client_span(const TraceId& trace, const SpanId& id) const;

  int64_t spans = 0;            ///< all, duplicates included
  int64_t delivered_again = 0;  ///< the same span once more
  int64_t told_again = 0;       ///< of these, as re-deliveries
  SpanRegister spans_by_id;
  Redeliveries redeliveries;
  std::unordered_set<TraceId> client_traces;
  std::set<std::pair<TraceId, SpanId>> client_spans;
};

/// Of one profile.
class Observed final {
 public:
  /// `number`: position among the profiles of the run.
  Observed(const CompiledProfile& profile, size_t number, const Evidence& evidence,
           size_t spans_in_memory);

  /// Finds the request and the twins of the view's span; before checks see the view.
  void match(SpanView& view);
  /// After checks saw the view: keeps what the others need. `is_mine`: of one of its types, or of
  /// no profile's. ERRORS: kIo of the file that holds what does not fit in memory.
  Status add(const SpanView& view, bool is_mine);

  const Profile& profile() const { return compiled.profile(); }

  const CompiledProfile& compiled;
  const uint16_t bit;                ///< of SpanRow::request_of
  std::optional<Matching> matching;  ///< with a ledger and accounting rules
  PhaseSamples phases;
  Coverage coverage;
  std::optional<Sightings> sightings;  ///< where they were asked for
  Reconciled reconciled;
  Families families;
  Examples examples;
  int64_t request_spans = 0;       ///< duplicates included
  int64_t duplicate_requests = 0;  ///< of these
  int64_t failed_requests = 0;     ///< of the others, those with status ERROR

 private:
  std::unordered_map<uint64_t, Twins> twins_;  // with a ledger, by hash
};

}  // namespace touchstone::conformance
