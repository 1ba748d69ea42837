// A check: a pure function from evidence to findings. One row each in checks.cc. A check never
// stops at its first finding, and one that examined nothing is skipped, never passed. One thread.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "conformance/judge.h"
#include "conformance/matching.h"
#include "conformance/observed.h"
#include "conformance/profile/profile.h"
#include "result/result_model.h"

namespace touchstone::conformance {

/// What a check may look at. `matching` is set when there is a ledger and the profile accounts.
struct CheckInput {
  const Evidence& evidence;
  const Profile& profile;
  const SpanIndex& index;
  const std::optional<Matching>& matching;
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
};

/// Collects what one check saw.
class Recorder final {
 public:
  explicit Recorder(result::CheckOutcome& outcome) : outcome_(outcome) {}

  /// Counts one examined span, request, series.
  void examined(int64_t count = 1) { outcome_.examined += count; }
  /// Why nothing could be examined; the first reason is kept.
  void not_applicable(const std::string& reason);
  /// The check could not decide.
  void undecided(const std::string& reason);
  /// Adds to the finding with the same fold or starts one. Places are listed up to kPlacesMax.
  void violation(Violation violation);
  /// As violation(), about one span: fills the place and the subject (when empty).
  void violation(const SpanView& view, Violation violation);
  /// A one-line summary for when all is well.
  void summary(const std::string& text) { summary_ = text; }
  /// Decides the verdict. Call once, at the end.
  void finish();

  static constexpr int64_t kPlacesMax = 100;

 private:
  result::CheckOutcome& outcome_;
  std::map<std::pair<int, std::string>, size_t> folds_;
  std::optional<std::string> not_applicable_;
  std::optional<std::string> undecided_;
  std::string summary_;
};

struct CheckRow {
  const char* id;
  const char* title;
  const char* group;
  result::Level level;
  const char* source;  ///< specification, version, sentence
  void (*run)(const CheckInput& input, Recorder& recorder);
};

/// Every check, in the order of reports.
std::span<const CheckRow> all_checks();

// input.cc
void check_input_readable(const CheckInput& input, Recorder& recorder);
void check_spans_received(const CheckInput& input, Recorder& recorder);
// answers.cc
void check_request_answered(const CheckInput& input, Recorder& recorder);
// span_shape.cc
void check_span_known_type(const CheckInput& input, Recorder& recorder);
void check_span_name(const CheckInput& input, Recorder& recorder);
void check_span_kind(const CheckInput& input, Recorder& recorder);
void check_span_status(const CheckInput& input, Recorder& recorder);
void check_span_events(const CheckInput& input, Recorder& recorder);
void check_span_scope(const CheckInput& input, Recorder& recorder);
void check_span_schema_url(const CheckInput& input, Recorder& recorder);
// attributes.cc
void check_attribute_required(const CheckInput& input, Recorder& recorder);
void check_attribute_type(const CheckInput& input, Recorder& recorder);
void check_attribute_range(const CheckInput& input, Recorder& recorder);
void check_attribute_enum(const CheckInput& input, Recorder& recorder);
void check_attribute_pattern(const CheckInput& input, Recorder& recorder);
void check_attribute_forbidden(const CheckInput& input, Recorder& recorder);
void check_attribute_unknown(const CheckInput& input, Recorder& recorder);
void check_attribute_twice(const CheckInput& input, Recorder& recorder);
// resource.cc
void check_resource_required(const CheckInput& input, Recorder& recorder);
void check_resource_value(const CheckInput& input, Recorder& recorder);
void check_resource_forbidden(const CheckInput& input, Recorder& recorder);
// relations.cc
void check_relations(const CheckInput& input, Recorder& recorder);
// duplicates.cc
void check_ids_valid(const CheckInput& input, Recorder& recorder);
void check_span_id_unique(const CheckInput& input, Recorder& recorder);
void check_request_recorded_once(const CheckInput& input, Recorder& recorder);
// time.cc
void check_time_order(const CheckInput& input, Recorder& recorder);
void check_time_bounds(const CheckInput& input, Recorder& recorder);
void check_time_client_window(const CheckInput& input, Recorder& recorder);
void check_latency_within_span(const CheckInput& input, Recorder& recorder);
// topology.cc
void check_parent_is_client(const CheckInput& input, Recorder& recorder);
void check_no_orphan(const CheckInput& input, Recorder& recorder);
void check_one_root(const CheckInput& input, Recorder& recorder);
void check_no_cycle(const CheckInput& input, Recorder& recorder);
void check_remote_flag(const CheckInput& input, Recorder& recorder);
// completeness.cc
void check_no_span_missing(const CheckInput& input, Recorder& recorder);
void check_no_span_surplus(const CheckInput& input, Recorder& recorder);
void check_no_span_unexplained(const CheckInput& input, Recorder& recorder);
void check_accounts_add_up(const CheckInput& input, Recorder& recorder);
// collector.cc
void check_collector_loss(const CheckInput& input, Recorder& recorder);
void check_collector_received_all(const CheckInput& input, Recorder& recorder);
void check_collector_delivered_all(const CheckInput& input, Recorder& recorder);
// reconciliation.cc
void check_usage_prompt(const CheckInput& input, Recorder& recorder);
void check_usage_completion(const CheckInput& input, Recorder& recorder);
void check_counters(const CheckInput& input, Recorder& recorder);
void check_requests_by_reason(const CheckInput& input, Recorder& recorder);
void check_histograms(const CheckInput& input, Recorder& recorder);
// metrics.cc
void check_metric_present(const CheckInput& input, Recorder& recorder);
void check_metric_type(const CheckInput& input, Recorder& recorder);
void check_metric_labels(const CheckInput& input, Recorder& recorder);
void check_metric_buckets(const CheckInput& input, Recorder& recorder);
void check_metric_values(const CheckInput& input, Recorder& recorder);

}  // namespace touchstone::conformance
