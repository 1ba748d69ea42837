// A profile: what spans, metrics and traces of one convention must look like, as data. People
// write it in YAML (conformance/profiles/*.yaml, schema conformance/profiles/profile.schema.json);
// every error names file and line, unknown keys are errors. Values; thread-compatible.
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

/// Holds when the span's attribute `key` is present (no `equals`) or has this text.
struct Condition {
  std::string key;
  std::optional<std::string> equals;
};

struct AttributeRule {
  std::string key;
  ValueType type = ValueType::kAny;
  result::Level level = result::Level::kMust;
  Presence presence = Presence::kAlways;
  std::optional<Condition> when;
  std::string unit;           ///< "s", "tokens"; for readers
  std::optional<double> min;  ///< closed range of numbers
  std::optional<double> max;
  std::vector<std::string> one_of;  ///< allowed values, as text; empty: any
  std::string pattern;              ///< PCRE the whole value must match; empty: any
  std::string brief;                ///< what it means, for readers
  std::string where;                ///< file:line
};

/// A key that must not appear, and why.
struct ForbiddenKey {
  std::string key;  ///< a trailing `*` matches any rest
  result::Level level = result::Level::kMust;
  std::string reason;
  std::string where;
};

/// `e2e >= ttft`, `inference == prefill + decode`: sums of names and numbers compared, within
/// `tolerance` (absolute, in the values' unit). Names are those of Profile::names, full attribute
/// keys, or `duration` (the span's, in seconds). A span that lacks a name is passed over.
struct Relation {
  enum class Operator { kEqual, kAtLeast, kAtMost };
  struct Term {
    double factor = 1;
    std::string name;  ///< empty: the factor itself
  };
  std::string text;  ///< as written
  std::vector<Term> left;
  Operator op = Operator::kEqual;
  std::vector<Term> right;
  double tolerance = 0;
  result::Level level = result::Level::kMust;
  std::string reason;
  std::string where;
};

/// Selects spans: every given property must hold. An empty match selects nothing.
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
  std::optional<telemetry::SpanKind> kind;
  std::optional<std::string> scope;
  std::optional<std::string> schema_url;
  std::vector<telemetry::StatusCode> statuses;
  std::optional<int64_t> max_events;
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
};

/// How many spans a request of one outcome owes: between `least` and `most` times its choices.
struct AccountingRule {
  enum class Amount { kNone, kChoices };
  Amount least = Amount::kNone;
  Amount most = Amount::kNone;
  std::string reason;  ///< why, when it is not what one would want ("vLLM records nothing …")
};
struct Accounting {
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
  int64_t clock_skew_ns = 1'000'000'000;  ///< between client's and server's wall clock
  std::optional<int64_t> max_duration_ns;
};

struct MetricRule {
  std::string name;  ///< of the family, as `# TYPE` has it
  std::string type;  ///< "counter", "gauge", "histogram"
  result::Level level = result::Level::kMust;
  std::vector<std::string> labels;                         ///< exactly these (le aside)
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
  std::string name;   ///< of Profile::names: what is summed (counter) or distributed (histogram)
  std::string label;  ///< kRequests: the finish-reason label
  /// Requests that their client hung up may or may not have been counted.
  bool counts_hung_up = false;
  double tolerance = 0;  ///< of a histogram's sum, relative
  result::Level level = result::Level::kMust;
  std::string where;
};

struct Profile {
  std::string name;        ///< "vllm-v1"
  std::string version;     ///< of the pinned convention: "0.32.0"
  std::string convention;  ///< "vLLM V1 engine tracing"
  std::string description;
  std::string source;  ///< where the rules are from, with version
  std::string where;   ///< file
  std::vector<AttributeRule> resource;
  std::vector<ForbiddenKey> resource_forbidden;
  std::vector<SpanType> spans;
  /// Level at which a span that is of no type is a finding; nullopt: allowed.
  std::optional<result::Level> unknown_spans;
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

/// ERRORS: kInvalidArgument `file:line: field: got, expected`.
Result<Profile> parse_profile(const std::string& file, std::string_view yaml);

/// A profile built into the program.
struct ShippedProfile {
  std::string_view name;
  std::string_view yaml;
};
const std::vector<ShippedProfile>& shipped_profiles();

/// A shipped profile by name, or the file at this path (anything with a `/` or ending in .yaml).
/// ERRORS: kNotFound with the nearest name as hint; kInvalidArgument.
Result<Profile> load_profile(const std::string& name_or_path);

}  // namespace touchstone::conformance
