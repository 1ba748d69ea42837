// Telemetry that is known to be right, for operators to damage and variants to dress otherwise.
// Read-only after construction, but for scratch of its patterns: one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "conformance/evidence.h"
#include "conformance/profile/profile.h"
#include "records/ledger.h"
#include "telemetry/span.h"

namespace touchstone::conformance::mutate {

/// What an auditor has in hand. Each is the evidence of the self-test with the rest left out.
enum class Mode { kSpans, kMetrics, kLedger, kAll };
inline constexpr Mode kModes[] = {Mode::kSpans, Mode::kMetrics, Mode::kLedger, Mode::kAll};
const char* to_string(Mode mode);  // "spans", "spans + metrics", …
/// A set of modes: bit i for kModes[i].
using Modes = uint8_t;
constexpr Modes operator|(Mode a, Mode b) {
  return static_cast<Modes>(1u << static_cast<unsigned>(a) | 1u << static_cast<unsigned>(b));
}
constexpr Modes only(Mode mode) { return mode | mode; }
constexpr bool contains(Modes modes, Mode mode) { return (modes & only(mode)) != 0; }
inline constexpr Modes kNever = 0;
inline constexpr Modes kAlways = 0b1111;
inline constexpr Modes kWithLedger = Mode::kLedger | Mode::kAll;
inline constexpr Modes kWithMetrics = Mode::kMetrics | Mode::kAll;
inline constexpr Modes kWithEither = kWithLedger | kWithMetrics;
inline constexpr Modes kWithAll = only(Mode::kAll);

/// Where a span stands; holds for every copy of the evidence whose spans are unchanged.
struct SpanAt {
  size_t batch = 0, group = 0, scoped = 0, span = 0;
};
telemetry::Span& span_at(Evidence& evidence, const SpanAt& at);
telemetry::ScopeSpans& scope_at(Evidence& evidence, const SpanAt& at);
telemetry::ResourceSpans& group_at(Evidence& evidence, const SpanAt& at);

struct GoodSpan {
  SpanAt at;
  const telemetry::Span* span = nullptr;
  const Profile* profile = nullptr;  ///< the first that knows the span; null: none
  const SpanType* type = nullptr;
  const records::LedgerEntry* entry = nullptr;  ///< of the request it stands for; null: not known

  const AttributeRule* rule(std::string_view key) const;  ///< null: none
  /// The number behind a word of the profile's names, in its base unit.
  std::optional<double> number(std::string_view word) const;
  double duration_s() const;
};

/// How much is tried: kSampled one span of each type and a few mutants of each operator, kWhole
/// first, middle and last span and every mutant.
enum class Depth { kSampled, kWhole };

class Good final {
 public:
  /// `evidence`: whole, spans in memory. Sets its `now_unix_ns` to a minute after the last span.
  /// REQUIRES: 1 to kProfilesMax profiles.
  Good(std::string name, Evidence evidence, std::vector<Profile> profiles, Depth depth);
  Good(const Good&) = delete;
  Good& operator=(const Good&) = delete;

  const std::string& name() const { return name_; }
  const Evidence& evidence() const { return evidence_; }
  /// What of it a mode shows.
  Evidence shown(Mode mode) const;
  const std::vector<Profile>& profiles() const { return profiles_; }
  Depth depth() const { return depth_; }
  /// The modes that differ, given what was collected.
  Modes modes() const;

  const std::vector<GoodSpan>& spans() const { return spans_; }
  /// A few of each type; with `requests_only`, of types that stand for a request.
  std::vector<GoodSpan> places(bool requests_only = false) const;
  /// Request spans alone in their trace, but for their own children.
  std::vector<GoodSpan> lone_requests() const;
  /// First and last group with a span.
  std::vector<SpanAt> groups() const;
  /// The rule that compares a histogram with the values of `key`; null: none.
  const Reconciliation* histogram_of(std::string_view key) const;
  /// True when the histogram has counted no more than the spans say: one fewer must be missed.
  bool is_tight(const Reconciliation& rule) const;
  /// The collected span that is the place's parent; null: none.
  const GoodSpan* parent_of(const GoodSpan& place) const;
  /// Some histogram has an observation for each request span that ended well, and no other.
  bool counts_requests() const;
  /// False when requests that left no such value may have been counted all the same.
  bool is_exact(const Reconciliation& rule) const;

 private:
  std::string name_;
  Evidence evidence_;
  std::vector<Profile> profiles_;
  Depth depth_;
  std::vector<GoodSpan> spans_;
};

/// All spans with the trace's id, of any group.
std::vector<telemetry::Span*> trace_of(Evidence& evidence, const TraceId& trace);
/// `root` and what stands below it, wherever it is.
std::vector<telemetry::Span*> family_of(Evidence& evidence, const telemetry::Span& root);
void remove_spans(Evidence& evidence, const std::vector<SpanId>& ids);
/// Copies of a family with new ids, beside the originals; gives the copy of the root.
telemetry::Span& copy_family(Evidence& evidence, const SpanAt& root);
telemetry::Value* value_of(telemetry::Span& span, std::string_view key);

}  // namespace touchstone::conformance::mutate
