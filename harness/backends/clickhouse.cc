// Spans of the Collector's ClickHouse exporter, judged in the database. See in_place.h.
#include <algorithm>
#include <map>
#include <utility>

#include "base/text.h"
#include "conformance/checks/check.h"
#include "conformance/sightings.h"
#include "harness/backends/ask.h"
#include "harness/backends/clickhouse_counts.h"
#include "harness/backends/clickhouse_sql.h"
#include "harness/backends/in_place.h"

namespace touchstone::harness {
namespace {

using conformance::Evidence;
using conformance::JudgedFiles;
using conformance::Observed;
using conformance::Profile;
using conformance::Recorder;
using nlohmann::json;
using result::Sighting;

constexpr size_t kTracesAtOnce = 5000;
constexpr char kExpected[] = "rows of JSONEachRow";

/// The check of this id with its title and source, nothing recorded yet.
result::CheckOutcome outcome_of(const std::string& id, const Profile& profile) {
  result::CheckOutcome outcome;
  for (const conformance::CheckRow& row : conformance::all_checks()) {
    if (row.id != id) continue;
    outcome.id = row.id;
    outcome.title = row.title;
    outcome.group = row.group;
    outcome.level = row.level;
    outcome.source = profile.convention + " " + profile.version + " (profile " + profile.name +
                     "): " + row.source;
  }
  return outcome;
}

/// Outcomes of one profile, from counts.
struct ProfileOutcomes {
  explicit ProfileOutcomes(const Profile& profile)
      : required(outcome_of("span.attribute.required", profile)),
        allowed(outcome_of("span.attribute.enum", profile)),
        resource_required(outcome_of("resource.required", profile)),
        resource_value(outcome_of("resource.value", profile)) {}
  result::CheckOutcome required;
  result::CheckOutcome allowed;
  result::CheckOutcome resource_required;
  result::CheckOutcome resource_value;
};

class ClickHouse final {
 public:
  explicit ClickHouse(const BackendAddress& address) : address_(address) {
    // http://HOST:8123/DATABASE[/TABLE]
    const size_t host = address_.url.find("://");
    const size_t slash = host == std::string::npos ? host : address_.url.find('/', host + 3);
    std::string path = slash == std::string::npos ? "" : address_.url.substr(slash + 1);
    if (slash != std::string::npos) address_.url.resize(slash);
    const size_t middle = path.find('/');
    const std::string database = path.empty() ? "default" : path.substr(0, middle);
    table_ = identifier(database) + "." +
             identifier(middle == std::string::npos ? "otel_traces" : path.substr(middle + 1));
  }

  const std::string& table() const { return table_; }

  Result<std::vector<json>> rows(const std::string& sql) {
    http::Query query;
    query.add("default_format", "JSONEachRow");
    const auto text = ask_with_body(address_, "/", query, "text/plain", sql);
    if (!text) return text.error();
    std::vector<json> rows;
    for (const std::string& line : split(*text, '\n')) {
      if (trim(line).empty()) continue;
      auto row = parse_answer(address_, "/", line, kExpected);
      if (!row) return std::move(row).error();
      if (!row->is_object()) return unexpected_answer(address_, "/", kExpected);
      rows.push_back(*std::move(row));
    }
    return rows;
  }

 private:
  static std::string identifier(const std::string& name) {
    std::string quoted = "`";
    for (const char c : name) {
      if (c == '`' || c == '\\') quoted += '\\';
      quoted += c;
    }
    return quoted + "`";
  }

  BackendAddress address_;
  std::string table_;
};

class InPlace final {
 public:
  InPlace(const BackendAddress& address, const TimeWindow& window, const Evidence& evidence,
          const std::vector<TraceId>& elsewhere, const std::vector<Profile>& profiles)
      : database_(address),
        window_(window),
        evidence_(evidence),
        elsewhere_(elsewhere),
        profiles_(profiles),
        conditions_(type_conditions(profiles)) {}

  Result<JudgedFiles> judge(const conformance::JudgeOptions& options) {
    with_groups_ = options.sightings;
    const auto all = database_.rows("SELECT count() AS spans FROM " + database_.table() +
                                    " WHERE " + window_condition(window_));
    if (!all) return all.error();
    const int64_t spans = all->empty() ? 0 : count_of(all->front(), "spans");
    for (size_t i = 0; i < profiles_.size(); ++i) {
      RETURN_IF_ERROR(judge_attributes(i));
      if (evidence_.ledger && profiles_[i].accounting) RETURN_IF_ERROR(judge_completeness(i));
      const conformance::ProfileSource& source = profiles_[i].sources.front();
      report_.provenance.versions["profile " + profiles_[i].name] = profiles_[i].version;
      report_.provenance.digests["profile " + source.name] = source.sha256;
    }
    report_.notes.push_back(
        "Judged in ClickHouse: presence of attributes, allowed texts, completeness. Not judged: "
        "types (all values are text there), ranges, relations, times, topology, content.");
    if (!evidence_.ledger) {
      report_.notes.push_back("No ledger was given: completeness was not judged.");
    }
    if (!options.sightings) report_.sightings.clear();
    decide(report_, options.fail_on);
    if (spans == 0) report_.verdict = result::Verdict::kUnknown;
    report_.summary = conformance::summary_of(report_, spans);
    return JudgedFiles{std::move(report_), spans};
  }

 private:
  Status judge_attributes(size_t number) {
    const Profile& profile = profiles_[number];
    ProfileOutcomes outcomes(profile);
    Recorder required(outcomes.required, nullptr);
    Recorder allowed(outcomes.allowed, nullptr);
    Recorder resource_required(outcomes.resource_required, nullptr);
    Recorder resource_value(outcomes.resource_value, nullptr);
    std::vector<Sighting> sightings;
    for (size_t i = 0; i < profile.spans.size(); ++i) {
      const conformance::SpanType& type = profile.spans[i];
      std::vector<CountedRule> rules;
      for (const auto& rule : type.attributes) rules.push_back({&rule, false});
      for (const auto& rule : profile.resource) rules.push_back({&rule, true});
      const auto rows = database_.rows(count_query(
          database_.table(), window_condition(window_) + " AND " + conditions_[number][i], rules));
      if (!rows) return rows.error();
      const json row = rows->empty() ? json::object() : rows->front();
      for (size_t j = 0; j < rules.size(); ++j) {
        const RuleCounts counts(row, type, rules[j], j);
        counts.judge_presence(rules[j].of_resource ? resource_required : required);
        counts.judge_value(rules[j].of_resource ? resource_value : allowed);
        add(counts, *rules[j].rule, "", sightings);
      }
      if (with_groups_) RETURN_IF_ERROR(judge_groups(number, i, rules, sightings));
    }
    finish(required, outcomes.required, "no span with required attributes");
    finish(allowed, outcomes.allowed, "no attribute with a list of allowed texts");
    finish(resource_required, outcomes.resource_required, "the profile says nothing of resources");
    finish(resource_value, outcomes.resource_value, "no attribute with a list of allowed texts");
    report_.checks.push_back(conformance::judge_sightings(profile.name, sightings));
    std::move(sightings.begin(), sightings.end(), std::back_inserter(report_.sightings));
    return {};
  }

  Status judge_groups(size_t number, size_t type, const std::vector<CountedRule>& rules,
                      std::vector<Sighting>& sightings) {
    for (const conformance::Dimension& dimension : conformance::sighting_dimensions()) {
      const auto rows = database_.rows(grouped_count_query(
          database_.table(), window_condition(window_) + " AND " + conditions_[number][type], rules,
          dimension));
      if (!rows) return rows.error();
      for (const json& row : *rows) {
        const std::string group = dimension.name + " " + text_of(row, "group_name");
        for (size_t j = 0; j < rules.size(); ++j) {
          add(RuleCounts(row, profiles_[number].spans[type], rules[j], j), *rules[j].rule, group,
              sightings);
        }
      }
    }
    return {};
  }

  void finish(Recorder& recorder, result::CheckOutcome& outcome, const std::string& nothing) {
    recorder.not_applicable(nothing);
    recorder.finish();
    if (profiles_.size() > 1) outcome.title += " (a profile of several)";
    report_.checks.push_back(std::move(outcome));
  }

  /// Resource attributes of several types are one row.
  void add(const RuleCounts& counts, const conformance::AttributeRule& rule,
           const std::string& group, std::vector<Sighting>& sightings) {
    const Sighting seen = counts.sighting(group);
    if (group.empty() && seen.total > 0) add_coverage(seen, rule);
    if (rule.presence == conformance::Presence::kSometimes || rule.level == result::Level::kMay) {
      return;
    }
    if (seen.total == 0 && (!counts.is_owed() || !group.empty())) return;
    merge(seen, sightings);
  }

  void add_coverage(const Sighting& seen, const conformance::AttributeRule& rule) {
    report_.coverage.push_back({.name_space = seen.span_type,
                                .attribute = seen.attribute,
                                .span_type = seen.span_type,
                                .level = rule.presence == conformance::Presence::kSometimes
                                             ? result::Level::kMay
                                             : rule.level,
                                .present = seen.present,
                                .total = seen.total});
  }

  static void merge(const Sighting& seen, std::vector<Sighting>& sightings) {
    const auto same = std::find_if(sightings.begin(), sightings.end(), [&](const Sighting& one) {
      return one.attribute == seen.attribute && one.span_type == seen.span_type &&
             one.group == seen.group;
    });
    if (same == sightings.end()) {
      sightings.push_back(seen);
      return;
    }
    same->present += seen.present;
    same->total += seen.total;
    for (const auto& at : {seen.first_seen_unix_ns, seen.last_seen_unix_ns}) {
      if (!at) continue;
      same->first_seen_unix_ns = std::min(same->first_seen_unix_ns.value_or(*at), *at);
      same->last_seen_unix_ns = std::max(same->last_seen_unix_ns.value_or(*at), *at);
    }
    for (const std::string& service : seen.missing_in) {
      auto& known = same->missing_in;
      if (std::find(known.begin(), known.end(), service) == known.end()) known.push_back(service);
    }
  }

  /// The accounting is the judge's own; from the database come the ids of request spans, by trace.
  Status judge_completeness(size_t number) {
    const Profile& profile = profiles_[number];
    const conformance::CompiledProfile compiled(profile);
    const conformance::ObservedRun run(evidence_, conformance::kSpansInMemory);
    std::vector<std::unique_ptr<Observed>> observed;
    observed.push_back(
        std::make_unique<Observed>(compiled, 0, evidence_, conformance::kSpansInMemory));
    std::vector<std::string> of_requests;
    for (size_t i = 0; i < profile.spans.size(); ++i) {
      if (profile.spans[i].is_request) of_requests.push_back("(" + conditions_[number][i] + ")");
    }
    if (of_requests.empty()) return {};
    const std::string where = "(" + join(of_requests, " OR ") + ")";
    RETURN_IF_ERROR(match_requests(where, *observed.front()->matching));
    const conformance::CheckInput input{.evidence = evidence_,
                                        .run = run,
                                        .observed = *observed.front(),
                                        .profiles = observed,
                                        .answered_share = 1};
    for (const conformance::CheckRow& row : conformance::completeness_checks()) {
      if (row.at_end == nullptr) continue;
      result::CheckOutcome outcome = outcome_of(row.id, profile);
      Recorder recorder(outcome, nullptr);
      row.at_end(input, recorder);
      recorder.not_applicable(row.nothing);
      recorder.finish();
      report_.checks.push_back(std::move(outcome));
    }
    return count_unexplained(where, profile);
  }

  Status match_requests(const std::string& where, conformance::Matching& matching) {
    std::vector<std::string> ids;
    int64_t without = 0;
    for (const records::LedgerEntry& entry : *evidence_.ledger) {
      if (entry.trace_id.is_valid()) ids.push_back(sql_text(entry.trace_id.hex()));
      without += !entry.trace_id.is_valid();
    }
    if (without > 0) {
      report_.notes.push_back(format_count(without) +
                              " requests were sent without traceparent: ClickHouse was not asked "
                              "for their spans.");
    }
    RETURN_IF_ERROR(for_each_part(ids, [&](const std::string& list) -> Status {
      const auto rows = database_.rows(
          "SELECT TraceId, ParentSpanId, groupUniqArray(SpanId) AS spans, countIf(" +
          window_condition(window_) + ") AS in_window\nFROM " + database_.table() + "\nWHERE " +
          where + " AND TraceId IN (" + list + ")\nGROUP BY TraceId, ParentSpanId");
      if (!rows) return rows.error();
      for (const json& row : *rows) add(row, matching);
      return {};
    }));
    ids.clear();
    for (const TraceId& id : elsewhere_) ids.push_back(sql_text(id.hex()));
    return for_each_part(ids, [&](const std::string& list) -> Status {
      const auto rows =
          database_.rows("SELECT count() AS spans FROM " + database_.table() + " WHERE " + where +
                         " AND " + window_condition(window_) + " AND TraceId IN (" + list + ")");
      if (!rows) return rows.error();
      if (!rows->empty()) explained_ += count_of(rows->front(), "spans");
      return {};
    });
  }

  static Status for_each_part(const std::vector<std::string>& ids,
                              const std::function<Status(const std::string& list)>& visit) {
    for (size_t at = 0; at < ids.size(); at += kTracesAtOnce) {
      const size_t end = std::min(ids.size(), at + kTracesAtOnce);
      RETURN_IF_ERROR(visit(
          join({ids.begin() + static_cast<int64_t>(at), ids.begin() + static_cast<int64_t>(end)},
               ", ")));
    }
    return {};
  }

  void add(const json& row, conformance::Matching& matching) {
    telemetry::Span span;
    span.trace_id = TraceId::parse(text_of(row, "TraceId")).value_or(TraceId());
    span.parent_span_id = SpanId::parse(text_of(row, "ParentSpanId")).value_or(SpanId());
    explained_ += count_of(row, "in_window");
    for (const json& id : row.value("spans", json::array())) {
      const auto parsed = id.is_string() ? SpanId::parse(id.get<std::string>()) : std::nullopt;
      if (!parsed) continue;
      span.span_id = *parsed;
      matching.add(span, std::nullopt);
    }
  }

  Status count_unexplained(const std::string& where, const Profile& profile) {
    const auto rows = database_.rows("SELECT count() AS spans FROM " + database_.table() +
                                     " WHERE " + window_condition(window_) + " AND " + where);
    if (!rows) return rows.error();
    const int64_t spans = rows->empty() ? 0 : count_of(rows->front(), "spans");
    result::CheckOutcome outcome = outcome_of("completeness.unexplained", profile);
    Recorder recorder(outcome, nullptr);
    recorder.examined(spans);
    if (spans > explained_) {
      recorder.violation({.signal = "ledger",
                          .subject = "unexplained spans",
                          .message = format_count(spans - explained_) + " of " +
                                     format_count(spans) +
                                     " request spans belong to no request that was sent",
                          .expected = "a request of the ledger",
                          .actual = "none"});
    }
    recorder.not_applicable("no request span");
    recorder.finish();
    explained_ = 0;
    report_.checks.push_back(std::move(outcome));
    return {};
  }

  ClickHouse database_;
  const TimeWindow window_;
  const Evidence& evidence_;
  const std::vector<TraceId>& elsewhere_;
  const std::vector<Profile>& profiles_;
  const std::vector<std::vector<std::string>> conditions_;
  int64_t explained_ = 0;  // request spans of the ledger's traces in the window
  bool with_groups_ = false;
  result::Report report_;
};

}  // namespace

Result<JudgedFiles> judge_in_clickhouse(const BackendAddress& address, const TimeWindow& window,
                                        const Evidence& evidence,
                                        const std::vector<TraceId>& elsewhere,
                                        const std::vector<Profile>& profiles,
                                        const conformance::JudgeOptions& options) {
  return InPlace(address, window, evidence, elsewhere, profiles).judge(options);
}

}  // namespace touchstone::harness
