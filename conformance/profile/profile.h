// A profile: what spans, metrics and traces of one convention must look like, as data. People
// write it in YAML (conformance/profiles/*.yaml, schema conformance/profiles/profile.schema.json);
// every error names file and line, unknown keys are errors. Values; thread-compatible.
//
// A profile may extend another (`extends: vllm-v1`, or a path relative to its own file). Then it
// starts as a copy of that, and what it says is read onto it: a scalar or a list of words takes the
// place of the base's; items of a list with an identity (spans by type, attributes by key, metrics
// by name, relations by their text, …) are merged field by field with the item of the same
// identity, or added; `{key: X, remove: true}` takes the base's item out.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "result/result_model.h"
#include "telemetry/span.h"

namespace touchstone::conformance {

/// Type an attribute's value must have on the wire.
enum class ValueType { kAny, kString, kBool, kInt, kDouble, kStringArray, kArray };
const char* to_string(ValueType type);  // "any", "string", …, "string[]", "array"

/// kAlways: on every span of the type. kWhen: on those where `when` holds, and only there kept to
/// the rule. kSometimes: may be absent; checked where it is present.
enum class Presence { kAlways, kWhen, kSometimes };

/// Holds when the attribute `key` is present, or has this text, or is absent.
struct Condition {
  std::string key;
  std::optional<std::string> equals;
  bool absent = false;
};
bool holds(const Condition& condition, const telemetry::Value* value);  ///< null: absent

struct AttributeRule {
  std::string key;
  ValueType type = ValueType::kAny;
  result::Level level = result::Level::kMust;
  Presence presence = Presence::kAlways;
  std::optional<Condition> when;
  std::string unit;           ///< of the value, as profile/unit.h knows it: "s", "ms", "tokens"
  std::optional<double> min;  ///< closed range of numbers, in `unit`
  std::optional<double> max;
  std::vector<std::string> one_of;  ///< allowed values, as text; empty: any; of each array element
  std::string pattern;              ///< PCRE the whole value must match; empty: any; as one_of
  std::string brief;                ///< what it means, for readers
  std::string where;                ///< file:line
};

/// A key that must not appear, and why: on the spans of a type, on resources, or (forbidden_keys)
/// anywhere.
struct ForbiddenKey {
  std::string key;  ///< a trailing `*` matches any rest
  result::Level level = result::Level::kMust;
  std::string reason;
  std::string where;
};
bool covers(const ForbiddenKey& forbidden, std::string_view key);

/// A value that must not stand anywhere: in no string of no span, resource, scope, event, link,
/// status message or metric label.
struct ForbiddenValue {
  std::string pattern;              ///< PCRE; found anywhere in the text
  std::vector<std::string> except;  ///< attribute keys that may hold it; one `*` matches any part
  result::Level level = result::Level::kMust;
  std::string reason;
  std::string where;
};

/// `e2e >= ttft`, `inference == prefill + decode`: sums of names and numbers compared, within
/// `tolerance` (absolute). Names are those of Profile::names, full attribute keys, or `duration`
/// (the span's). Values are compared in the base unit of theirs (times in seconds). `parent/NAME`
/// is the parent span's, `TYPE/NAME` the sum over the children of that type. Two single names
/// joined by == may be texts. A span that lacks a name is passed over.
struct Relation {
  enum class Operator { kEqual, kAtLeast, kAtMost };
  enum class Owner { kSelf, kParent, kChildren };
  struct Term {
    double factor = 1;
    std::string name;  ///< empty: the factor itself
    Owner owner = Owner::kSelf;
    std::string child_type;  ///< kChildren: whose sum
  };
  std::string text;  ///< as written
  std::vector<Term> left;
  Operator op = Operator::kEqual;
  std::vector<Term> right;
  std::optional<Condition> when;  ///< only on spans where it holds
  double tolerance = 0;
  result::Level level = result::Level::kMust;
  std::string reason;
  std::string where;
  /// True when a name is another span's.
  bool crosses_spans() const;
};

/// How many events with this name a span has.
struct EventRule {
  std::string name;
  int64_t min = 1;
  std::optional<int64_t> max;
  std::optional<Condition> when;  ///< where it does not hold there may be fewer than `min`
  result::Level level = result::Level::kMust;
  std::string where;
};

/// How many children of this type a span has.
struct ChildRule {
  std::string type;
  int64_t min = 1;
  std::optional<int64_t> max = 1;
  std::string where;
};

/// How children share the time of their parent. kApart: no two overlap. kTile: one begins where the
/// one before ends, the first with the parent and the last to its end.
enum class Layout { kAny, kApart, kTile };

struct Children {
  std::vector<ChildRule> of;
  std::optional<result::Level> others;  ///< a child of another type; nullopt: allowed
  bool inside = true;                   ///< each lies within its parent's interval
  Layout layout = Layout::kAny;
  int64_t tolerance_ns = 0;
  result::Level level = result::Level::kMust;
  std::string where;
};

/// Selects spans: every given property must hold. An empty match selects nothing. Of several
/// profiles the ones whose match names the scope have the span to themselves. A span of no type
/// that has all of a request's type but its scope is judged as one of that type.
struct SpanMatch {
  std::optional<std::string> name;
  std::optional<std::string> name_pattern;
  std::optional<telemetry::SpanKind> kind;
  std::optional<std::string> scope;
  std::map<std::string, std::string> resource;  ///< key → text
};

struct SpanType {
  std::string type;  ///< name of the type: "llm_request"
  std::string brief;
  SpanMatch match;
  bool is_request = false;  ///< stands for a completion; accounted against the ledger
  // What is asserted; absent: unchecked.
  std::optional<std::string> name_pattern;
  std::string name_of;  ///< "{http.request.method} {http.route}": the name, of attributes' texts
  std::optional<telemetry::SpanKind> kind;
  std::vector<std::string> scopes;  ///< one of these
  std::optional<std::string> schema_url;
  std::vector<telemetry::StatusCode> statuses;
  std::optional<int64_t> max_events;
  std::vector<EventRule> events;
  std::optional<result::Level> unknown_events;  ///< an event no rule names; nullopt: allowed
  std::optional<int64_t> min_links;
  std::optional<int64_t> max_links;
  /// Types of which the collected parent must be one; empty: any parent, or none.
  std::vector<std::string> parents;
  std::optional<Children> children;
  std::vector<AttributeRule> attributes;
  std::vector<ForbiddenKey> forbidden;
  /// Level at which a key that no rule names is a finding; nullopt: allowed.
  std::optional<result::Level> unknown_attributes;
  std::vector<Relation> relations;
  std::string where;
};

struct Rename {
  std::string key;    ///< what this profile calls it
  std::string other;  ///< what another version or convention calls it
  std::string since;  ///< "semconv 1.27.0"
  std::string where;
};

/// How many spans a request of one outcome owes: none, one, or all that a request can have.
struct AccountingRule {
  enum class Amount { kNone, kOne, kAll };  ///< in this order
  Amount least = Amount::kNone;
  Amount most = Amount::kNone;
  std::string reason;  ///< why, when it is not what one would want ("vLLM records nothing …")
};
struct Accounting {
  /// All: one span for each choice (vLLM), or one for the whole request (GenAI conventions).
  enum class Per { kChoice, kRequest };
  Per per = Per::kChoice;
  AccountingRule completed;
  AccountingRule hung_up;
  AccountingRule refused;
  AccountingRule failed;
  AccountingRule unsampled;
};

enum class ParentRule {
  kAny,
  kClientSpan  ///< every request's span is a child of the client's span, in the client's trace
};
struct Topology {
  ParentRule parent = ParentRule::kAny;
  /// A remote parent must be flagged so (OTLP span flags bits 8 and 9).
  std::optional<result::Level> remote_flag;
  bool orphans_allowed = false;
};

struct TimeRules {
  /// How far the client's and the server's clock may part during a run, beside the one offset that
  /// fits it.
  int64_t clock_skew_ns = 100'000'000;
  std::optional<int64_t> max_duration_ns;
};

struct MetricRule {
  std::string name;  ///< of the family, as `# TYPE` has it
  std::string type;  ///< "counter", "gauge", "histogram"
  result::Level level = result::Level::kMust;
  std::vector<std::string> labels;                         ///< each of these (le aside)
  std::vector<std::string> optional_labels;                ///< beside them these at most
  std::map<std::string, std::vector<std::string>> values;  ///< label → values that must exist
  std::vector<double> buckets;                             ///< upper bounds without +Inf
  std::optional<double> min;
  std::optional<double> max;
  std::string where;
};

/// What a counter's growth, or a histogram's, must agree with.
struct Reconciliation {
  enum class Kind { kCounter, kRequests, kHistogram };
  Kind kind = Kind::kCounter;
  std::string metric;
  std::string name;   ///< of Profile::names, or `duration`: what is summed or distributed
  std::string label;  ///< kRequests: the finish-reason label
  std::string failed_label;  ///< kHistogram: what only series of failed requests have; empty: none
  /// Requests that their client hung up may or may not have been counted.
  bool counts_hung_up = false;
  double tolerance = 0;  ///< of a histogram's sum, relative
  result::Level level = result::Level::kMust;
  std::string where;
};

/// One observation a span: its own length.
inline bool is_of_duration(const Reconciliation& rule) { return rule.name == "duration"; }

/// A text that a profile was read from.
struct ProfileSource {
  std::string name;    ///< "vllm-v1.yaml"
  std::string sha256;  ///< hex
};

struct Profile {
  std::string name;        ///< "vllm-v1"
  std::string version;     ///< of the pinned convention: "0.32.0"
  std::string convention;  ///< "vLLM V1 engine tracing"
  std::string description;
  std::string source;                  ///< where the rules are from, with version
  std::string where;                   ///< file
  std::vector<ProfileSource> sources;  ///< its own text, then those of the profiles it extends
  std::vector<AttributeRule> resource;
  std::vector<ForbiddenKey> resource_forbidden;
  std::vector<ForbiddenKey> forbidden_keys;  ///< of no span, event, link, scope, resource, metric
  std::vector<ForbiddenValue> forbidden_values;
  std::vector<SpanType> spans;
  /// Level at which a span that is of no type is a finding; nullopt: allowed.
  std::optional<result::Level> unknown_spans;
  /// PCRE of the subject's service.name; empty: every service is the subject's.
  std::string service;
  /// Level at which a span of another service is a finding; nullopt: it is none of our business.
  std::optional<result::Level> other_services;
  /// Level at which the same span delivered again is a finding, unless its sender says that it is
  /// a re-delivery (telemetry/redelivery.h); nullopt: OTLP allows it.
  std::optional<result::Level> redelivery;
  /// Words of this file for attribute keys: ttft, e2e, queue, prefill, decode, inference,
  /// prompt_tokens, completion_tokens, request_id, …
  std::map<std::string, std::string> names;
  std::optional<Topology> topology;
  std::optional<Accounting> accounting;
  TimeRules time;
  std::vector<MetricRule> metrics;
  std::vector<Reconciliation> reconciliations;
  std::vector<Rename> renames;

  /// The attribute key behind a name; the name itself when it is none of `names`.
  const std::string& key_of(const std::string& word) const;
};

/// ERRORS: kInvalidArgument `file:line: field: got, expected`; what load_profile() says of a base.
Result<Profile> parse_profile(const std::string& file, std::string_view yaml);

/// A profile built into the program.
struct ShippedProfile {
  std::string_view name;
  std::string_view yaml;
};
const std::vector<ShippedProfile>& shipped_profiles();

/// The text behind a name or path, as load_profile() finds it.
struct ProfileText {
  std::string name;  ///< what messages call it
  std::string yaml;
};
Result<ProfileText> profile_text(const std::string& name_or_path);

/// A shipped profile by name, or the file at this path (anything with a `/` or ending in .yaml).
/// ERRORS: kNotFound with the nearest name as hint; kInvalidArgument.
Result<Profile> load_profile(const std::string& name_or_path);

}  // namespace touchstone::conformance
