// A check: functions that see each span once as it passes, each trace and what was kept of all at
// the end, and record what violates the profile. One row each; row and functions stand together in
// one file of checks/. A check keeps no state of its own: what must be remembered is in observed.h.
// It never stops at its first finding, and one that examined nothing is skipped, never passed. One
// thread.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "conformance/evidence.h"
#include "conformance/observed.h"
#include "conformance/span_view.h"
#include "conformance/suppressions.h"
#include "result/result_model.h"

namespace touchstone::conformance {

/// What a check may look at. A check of the run is handed the primary profile, one of a profile
/// that one.
struct CheckInput {
  const Evidence& evidence;
  const ObservedRun& run;
  const Observed& observed;
  const std::vector<std::unique_ptr<Observed>>& profiles;
  double answered_share;  ///< of the requests: when as many were answered, the rest may fail

  const Profile& profile() const { return observed.profile(); }
};

/// One violation at one place. Violations with equal level and `fold` become one finding.
struct Violation {
  result::Level level = result::Level::kMust;
  std::string fold = {};
  std::string signal = "span";
  std::string subject = {};
  std::string message = {};
  std::string expected = {};
  std::string actual = {};
  std::map<std::string, std::string> context = {};
  result::Place place = {};
  std::string rule = {};  ///< file:line of the profile or suite that demands it
};

/// Collects what one check saw, in bounded memory: so many findings, so many places each, texts so
/// long; all are counted.
class Recorder final {
 public:
  /// `suppressor` may be null. Both must outlive the recorder.
  Recorder(result::CheckOutcome& outcome, Suppressor* suppressor)
      : outcome_(outcome), suppressor_(suppressor) {}

  /// Counts one examined span, request, series.
  void examined(int64_t count = 1) { outcome_.examined += count; }
  /// Why nothing could be examined; the first reason is kept.
  void not_applicable(const std::string& reason);
  /// The check could not decide.
  void undecided(const std::string& reason);
  /// Adds to the finding with the same fold or starts one.
  void violation(Violation violation);
  /// As violation(), about one span: fills the place and the subject (when empty).
  void violation(const SpanView& view, Violation violation);
  void violation(const ObservedRun& run, const SpanRow& row, Violation violation);
  /// A one-line summary for when all is well.
  void summary(const std::string& text) { summary_ = text; }
  /// Decides the verdict. Call once, at the end.
  void finish();

  static constexpr int64_t kPlacesMax = 100;
  static constexpr size_t kFindingsMax = 100;
  static constexpr size_t kTextMax = 600;  ///< bytes

 private:
  result::CheckOutcome& outcome_;
  Suppressor* suppressor_;
  std::unordered_map<std::string, size_t> folds_;
  result::Level unlisted_level_ = result::Level::kMay;  // the strongest of those
  int64_t unlisted_ = 0;                                // violations beyond kFindingsMax findings
  int64_t suppressed_ = 0;
  std::string suppressed_because_;
  std::optional<std::string> not_applicable_;
  std::optional<std::string> undecided_;
  std::string summary_;
};

struct CheckRow {
  enum class Of { kRun, kProfile };              ///< judged once, or once for each profile
  enum class Source { kStandard, kTheProfile };  ///< who demands it
  using OnSpan = void (*)(const CheckInput&, const SpanView&, Recorder&);
  using OnResource = void (*)(const CheckInput&, const telemetry::Resource&, Recorder&);
  using OnTrace = void (*)(const CheckInput&, const TraceRows&, Recorder&);
  using OnFamily = void (*)(const CheckInput&, const Family&, Recorder&);
  using AtEnd = void (*)(const CheckInput&, Recorder&);

  const char* id;
  const char* title;
  const char* group;
  result::Level level = result::Level::kMust;
  Of of = Of::kProfile;
  Source demanded_by = Source::kStandard;
  const char* source;   ///< specification, version, sentence; or which rules of the profile
  const char* nothing;  ///< why it is skipped when it examined nothing and gave no other reason
  OnSpan on_span = nullptr;          ///< of the run: every span; of a profile: those of its types
  OnResource on_resource = nullptr;  ///< each distinct resource with such a span
  OnTrace on_trace = nullptr;        ///< at the end, in the order of trace ids
  OnFamily on_family = nullptr;      ///< the same; of profiles with rules about kin
  AtEnd at_end = nullptr;
};

/// Every check, in the order of reports. Ids are names and are never reused.
std::span<const CheckRow> all_checks();

// The table of each file of checks/.
using CheckTable = std::span<const CheckRow>;
CheckTable input_checks();
CheckTable parameter_checks();
CheckTable dropped_checks();
CheckTable answer_checks();
CheckTable shape_checks();
CheckTable attribute_checks();
CheckTable relation_checks();
CheckTable content_checks();
CheckTable resource_checks();
CheckTable identity_checks();
CheckTable time_checks();
CheckTable client_time_checks();
CheckTable topology_checks();
CheckTable family_checks();
CheckTable completeness_checks();
CheckTable collector_checks();
CheckTable reconciliation_checks();
CheckTable metric_checks();

}  // namespace touchstone::conformance
