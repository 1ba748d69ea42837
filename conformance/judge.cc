#include "conformance/judge.h"

#include <algorithm>
#include <deque>
#include <unordered_set>
#include <utility>

#include "base/check.h"
#include "base/text.h"
#include "conformance/charts.h"
#include "conformance/checks/check.h"
#include "conformance/clock_offset.h"
#include "conformance/hash.h"
#include "conformance/hops.h"

namespace touchstone::conformance {
namespace {

using result::CheckOutcome;
using result::Report;
using result::Verdict;

// So many spans ahead their ids are asked for: about what memory takes to answer.
constexpr size_t kAhead = 4;

/// One row of the table at work.
class RunningCheck final {
 public:
  RunningCheck(const CheckRow& row, const CheckInput& input, Suppressor& suppressor)
      : row_(row), input_(input), recorder_(outcome_, &suppressor) {
    outcome_.id = row.id;
    outcome_.title = row.title;
    outcome_.group = row.group;
    outcome_.level = row.level;
    outcome_.source = row.source;
  }

  bool sees_spans() const { return row_.on_span != nullptr; }
  void on_span(const SpanView& view) { row_.on_span(input_, view, recorder_); }
  void on_resource(const telemetry::Resource& resource) {
    if (row_.on_resource != nullptr) row_.on_resource(input_, resource, recorder_);
  }
  void on_trace(const TraceRows& trace) {
    if (row_.on_trace != nullptr) row_.on_trace(input_, trace, recorder_);
  }
  void on_family(const Family& family) {
    if (row_.on_family != nullptr) row_.on_family(input_, family, recorder_);
  }
  /// `of_several`: titles must tell profiles apart.
  CheckOutcome finish(bool of_several) {
    if (row_.at_end != nullptr) row_.at_end(input_, recorder_);
    recorder_.not_applicable(row_.nothing);
    recorder_.finish();
    const Profile& profile = input_.profile();
    if (row_.demanded_by == CheckRow::Source::kTheProfile) {
      outcome_.source = profile.convention + " " + profile.version + " (profile " + profile.name +
                        "): " + outcome_.source;
    }
    if (row_.of == CheckRow::Of::kRun) return std::move(outcome_);
    if (of_several) outcome_.title += " [" + profile.name + "]";
    for (result::Finding& finding : outcome_.findings) finding.context["profile"] = profile.name;
    return std::move(outcome_);
  }

 private:
  const CheckRow& row_;
  const CheckInput& input_;
  CheckOutcome outcome_;
  Recorder recorder_;  // borrows outcome_
};

/// The checks of the run, or of one profile.
class Checks final {
 public:
  Checks(CheckRow::Of of, const CheckInput& input, Suppressor& suppressor) : input_(input) {
    for (const CheckRow& row : all_checks()) {
      if (row.of == of) checks_.emplace_back(row, input_, suppressor);
    }
    for (RunningCheck& check : checks_) {
      if (check.sees_spans()) span_checks_.push_back(&check);
    }
  }

  void on_span(const SpanView& view) {
    for (RunningCheck* check : span_checks_) check->on_span(view);
  }
  /// Each distinct one once.
  void on_resource(const telemetry::Resource& resource, uint64_t hash) {
    if (!resources_.insert(hash).second) return;
    for (RunningCheck& check : checks_) check.on_resource(resource);
  }
  void on_trace(const TraceRows& trace) {
    for (RunningCheck& check : checks_) check.on_trace(trace);
  }
  void on_family(const Family& family) {
    for (RunningCheck& check : checks_) check.on_family(family);
  }
  bool has_seen(uint64_t resource_hash) const { return resources_.contains(resource_hash); }
  void finish(bool of_several, std::vector<CheckOutcome>& outcomes) {
    for (RunningCheck& check : checks_) outcomes.push_back(check.finish(of_several));
  }

 private:
  const CheckInput input_;
  std::deque<RunningCheck> checks_;  // their recorders point into them
  std::vector<RunningCheck*> span_checks_;
  std::unordered_set<uint64_t> resources_;  // by hash
};

size_t primary_of(const std::vector<Profile>& profiles, const std::string& name) {
  for (size_t i = 0; i < profiles.size(); ++i) {
    if (profiles[i].name == name) return i;
  }
  return 0;
}

}  // namespace

struct Judge::State {
  State(const Evidence& of_run, const std::vector<Profile>& profiles, JudgeOptions with)
      : evidence(of_run),
        options(std::move(with)),
        primary(primary_of(profiles, options.primary)),
        run(of_run, options.spans_in_memory),
        suppressor(options.suppressions, of_run.now_unix_ns) {
    for (const Profile& profile : profiles) compiled.emplace_back(profile);
    for (size_t i = 0; i < compiled.size(); ++i) {
      observed.push_back(
          std::make_unique<Observed>(compiled[i], i, evidence, options.spans_in_memory));
      if (options.sightings) observed.back()->sightings.emplace(compiled[i]);
    }
    run_checks.emplace(CheckRow::Of::kRun, input_of(primary), suppressor);
    for (size_t i = 0; i < compiled.size(); ++i) {
      checks.emplace_back(CheckRow::Of::kProfile, input_of(i), suppressor);
    }
    views.resize(compiled.size());
    relevant.resize(compiled.size());
  }

  CheckInput input_of(size_t profile) const {
    return {.evidence = evidence,
            .run = run,
            .observed = *observed[profile],
            .profiles = observed,
            .answered_share = options.answered_share};
  }
  Status add_group(const telemetry::ResourceSpans& group);
  void classify(const telemetry::Span& span, const telemetry::Scope& scope,
                const telemetry::Resource& resource);
  Status add_span(const telemetry::Span& span);
  Status judge_traces();
  void add_profile_figures(Report& report);
  void add_primary_figures(Report& report);

  const Evidence& evidence;
  const JudgeOptions options;
  const size_t primary;
  std::deque<CompiledProfile> compiled;
  ObservedRun run;
  std::vector<std::unique_ptr<Observed>> observed;
  Suppressor suppressor;
  std::optional<Checks> run_checks;
  std::deque<Checks> checks;  // by profile
  // Of the span, and of the group, that passes.
  std::vector<SpanView> views;  // by profile
  std::vector<bool> relevant;   // by profile: it judges the group's resource
};

/// Which profiles know the span. Where one names the scope in its match, only those that do; where
/// none does, those to which it is a request's span from another scope.
void Judge::State::classify(const telemetry::Span& span, const telemetry::Scope& scope,
                            const telemetry::Resource& resource) {
  bool is_known = false;
  bool by_scope = false;
  for (size_t i = 0; i < views.size(); ++i) {
    views[i].type = views[i].other_service ? nullptr : compiled[i].classify(span, scope, resource);
    is_known |= views[i].type != nullptr;
    by_scope |= views[i].type != nullptr && views[i].rules().match.scope.has_value();
  }
  for (size_t i = 0; i < views.size() && !is_known; ++i) {
    if (!views[i].other_service) views[i].type = compiled[i].classify_loosely(span, resource);
  }
  for (SpanView& view : views) {
    if (by_scope && view.type != nullptr && !view.rules().match.scope) view.type = nullptr;
  }
}

Status Judge::State::add_span(const telemetry::Span& span) {
  bool known = false;
  bool foreign = true;
  uint16_t request_of = 0;
  for (size_t i = 0; i < views.size(); ++i) {
    SpanView& view = views[i];
    view.span = &span;
    view.request = nullptr;
    view.twins = nullptr;
    view.set_type(view.type);
    known |= view.type != nullptr;
    foreign &= view.other_service;
    if (view.is_request()) request_of |= observed[i]->bit;
  }
  ++run.spans;
  const Result<SpanIds::Sighting> sighting = run.spans_by_id.add(span, request_of);
  if (!sighting) return sighting.error();
  const bool again = sighting->seen == SpanRegister::Seen::kDelivered;
  const Result<bool> told = run.redeliveries.told(span, *views[primary].scope, sighting->seen);
  if (!told) return told.error();
  run.delivered_again += again;
  run.told_again += again && *told;
  for (size_t i = 0; i < views.size(); ++i) {
    SpanView& view = views[i];
    view.known = known;
    view.seen = sighting->seen;
    view.first_trace = sighting->first;
    view.told = *told;
    const bool is_mine = view.type != nullptr ||
                         (!known && !view.other_service && compiled[i].owns(span, *view.scope));
    // A profile without span types is about resources, whatever the spans are.
    const bool any = compiled[i].types().empty() && !view.other_service;
    if (is_mine || any) relevant[i] = true;
    observed[i]->match(view);
    if (view.type != nullptr) checks[i].on_span(view);
    RETURN_IF_ERROR(observed[i]->add(view, is_mine));
  }
  SpanView& view = views[primary];
  const bool other_service = std::exchange(view.other_service, foreign);
  run_checks->on_span(view);
  view.other_service = other_service;
  return {};
}

Status Judge::State::add_group(const telemetry::ResourceSpans& group) {
  bool is_empty = true;
  for (size_t i = 0; i < views.size(); ++i) {
    views[i].resource = &group.resource;
    views[i].other_service = compiled[i].is_other_service(group.resource);
    relevant[i] = false;
  }
  for (const telemetry::ScopeSpans& scoped : group.scope_spans) {
    for (SpanView& view : views) {
      view.scope = &scoped.scope;
      view.schema_url = scoped.schema_url.empty() ? &group.schema_url : &scoped.schema_url;
    }
    for (size_t i = 0; i < scoped.spans.size(); ++i) {
      const telemetry::Span& span = scoped.spans[i];
      is_empty = false;
      if (i + kAhead < scoped.spans.size())
        run.spans_by_id.prefetch(scoped.spans[i + kAhead].span_id);
      classify(span, scoped.scope, group.resource);
      RETURN_IF_ERROR(add_span(span));
    }
  }
  const uint64_t hash = Hash64().add(group.resource.attributes).value();
  run_checks->on_resource(group.resource, hash);
  for (size_t i = 0; i < checks.size(); ++i) {
    if (!relevant[i] && !is_empty) continue;
    if (!checks[i].has_seen(hash)) observed[i]->coverage.add_resource(group.resource);
    checks[i].on_resource(group.resource, hash);
  }
  return {};
}

Status Judge::State::judge_traces() {
  RETURN_IF_ERROR(run.spans_by_id.for_each_trace([this](const TraceRows& trace) {
    run_checks->on_trace(trace);
    for (Checks& of_profile : checks) of_profile.on_trace(trace);
  }));
  for (size_t i = 0; i < observed.size(); ++i) {
    RETURN_IF_ERROR(
        observed[i]->families.for_each([&](const Family& family) { checks[i].on_family(family); }));
  }
  return {};
}

void Judge::State::add_profile_figures(Report& report) {
  for (size_t i = 0; i < observed.size(); ++i) {
    const Profile& profile = observed[i]->profile();
    checks[i].finish(observed.size() > 1, report.checks);
    for (result::CoverageRow& row : observed[i]->coverage.rows()) {
      report.coverage.push_back(std::move(row));
    }
    if (observed[i]->sightings) {
      std::vector<result::Sighting> rows = observed[i]->sightings->rows();
      report.checks.push_back(judge_sightings(profile.name, rows));
      std::move(rows.begin(), rows.end(), std::back_inserter(report.sightings));
    }
    report.provenance.versions["profile " + profile.name] = profile.version;
    for (const ProfileSource& source : profile.sources) {
      report.provenance.digests["profile " + source.name] = source.sha256;
    }
  }
}

void Judge::State::add_primary_figures(Report& report) {
  Observed& main = *observed[primary];
  if (main.matching) {
    // Whoever got no answer waited longer than any span says.
    for (const RequestMatch& match : main.matching->requests()) {
      if (answered_as_expected(*match.entry)) continue;
      main.phases.add_unanswered(std::max<int64_t>(0, match.all - match.found));
    }
    report.tables = accounting_tables(main, run.spans);
    auto losses = loss_table(evidence, *main.matching, run.spans - run.delivered_again);
    if (losses) report.tables.insert(report.tables.begin() + 1, std::move(*losses));
    const auto offsets = clock_offsets(*main.matching, main.profile().time.clock_skew_ns);
    for (const auto& [subject, offset] : offsets) {
      report.notes.push_back("Server's clock minus client's" +
                             (subject.empty() ? "" : " (" + subject + ")") + ": " +
                             to_string(offset) + ".");
    }
  }
  for (const Budget& budget : options.budgets) {
    report.budgets.push_back(judge_budget(budget, main.phases.of(budget.phase)));
    const int64_t needed = samples_needed(budget);
    if (report.budgets.back().samples >= needed) continue;
    report.notes.push_back("The budget of " + budget.phase + " p" +
                           format_double(budget.quantile * 100) + " can pass with " +
                           format_count(needed) + " samples or more; there are " +
                           format_count(report.budgets.back().samples) + ".");
  }
  if (!options.budgets.empty() && main.phases.unanswered() > 0) {
    report.notes.push_back(format_count(main.phases.unanswered()) +
                           " completions that were not answered count as over every budget.");
  }
  if (main.phases.spans() > static_cast<int64_t>(PhaseSamples::kSpansMax)) {
    report.notes.push_back("Latencies are of a uniform sample of " +
                           format_count(PhaseSamples::kSpansMax) + " of " +
                           format_count(main.phases.spans()) + " request spans.");
  }
  if (auto table = latency_table(main.phases)) {
    table->detail = !report.budgets.empty();  // they show the same phases
    report.tables.push_back(*std::move(table));
  }
  report.charts = latency_charts(main.phases);
  report.waterfalls = example_waterfalls(main.examples);
}

Judge::Judge(const Evidence& evidence, const std::vector<Profile>& profiles, JudgeOptions options) {
  BASE_CHECK(!profiles.empty() && profiles.size() <= kProfilesMax, profiles.size());
  state_ = std::make_unique<State>(evidence, profiles, std::move(options));
}

Judge::~Judge() = default;

Status Judge::add(const telemetry::TraceBatch& batch) {
  for (const telemetry::ResourceSpans& group : batch) RETURN_IF_ERROR(state_->add_group(group));
  return {};
}

int64_t Judge::spans() const { return state_->run.spans; }

Result<Report> Judge::finish() {
  State& state = *state_;
  Report report;
  RETURN_IF_ERROR(state.judge_traces());
  state.run_checks->finish(false, report.checks);
  state.add_profile_figures(report);
  state.add_primary_figures(report);
  report.checks.push_back(state.suppressor.finish(report.notes));
  if (!state.evidence.ledger) {
    report.notes.push_back("No ledger was given: completeness was not judged.");
  }
  if (!state.evidence.metrics) {
    report.notes.push_back("No metrics were given: agreement with counters was not judged.");
  }
  report.notes.insert(report.notes.end(), state.evidence.torn_tails.begin(),
                      state.evidence.torn_tails.end());
  if (state.evidence.other_signal_lines > 0) {
    report.notes.push_back(format_count(state.evidence.other_signal_lines) +
                           " lines of the span input hold metrics or logs and were not judged.");
  }
  decide(report, state.options.fail_on);
  // Without spans a profile of metrics alone has something to judge all the same.
  const bool wants_spans =
      std::any_of(state.compiled.begin(), state.compiled.end(),
                  [](const CompiledProfile& profile) { return !profile.types().empty(); });
  if (state.run.spans == 0 && (wants_spans || !state.evidence.metrics)) {
    report.verdict = Verdict::kUnknown;
  }
  report.summary = summary_of(report, state.run.spans);
  return report;
}

int64_t span_count(const Evidence& evidence) {
  int64_t count = 0;
  for (const telemetry::TraceBatch& batch : evidence.spans) {
    for (const telemetry::ResourceSpans& resource : batch) {
      for (const telemetry::ScopeSpans& scope : resource.scope_spans) {
        count += static_cast<int64_t>(scope.spans.size());
      }
    }
  }
  return count;
}

std::string summary_of(const Report& report, int64_t spans) {
  int64_t counts[4] = {};
  int64_t warned = 0;
  for (const CheckOutcome& check : report.checks) {
    const bool warns = check.verdict == Verdict::kFail && !result::fails_report(check, report);
    ++(warns ? warned : counts[static_cast<int>(check.verdict)]);
  }
  const auto count = [&](Verdict verdict) { return counts[static_cast<int>(verdict)]; };
  if (spans == 0) return "no span was received: nothing can be said about the subject";
  std::string text = format_count(spans) + " spans: " + std::to_string(count(Verdict::kPass)) +
                     " checks passed, " + std::to_string(count(Verdict::kFail)) + " failed, " +
                     (warned > 0 ? std::to_string(warned) + " warned, " : std::string()) +
                     std::to_string(count(Verdict::kUnknown)) + " undecided, " +
                     std::to_string(count(Verdict::kSkip)) + " not applicable";
  int64_t failed_budgets = 0;
  for (const result::BudgetRow& budget : report.budgets) {
    failed_budgets += budget.verdict == Verdict::kFail;
  }
  if (failed_budgets > 0) text += ", " + std::to_string(failed_budgets) + " budgets exceeded";
  return text;
}

Report judge(const Evidence& evidence, const std::vector<Profile>& profiles,
             const JudgeOptions& options) {
  JudgeOptions in_memory = options;
  in_memory.spans_in_memory = SIZE_MAX / 1024;
  Judge judge(evidence, profiles, std::move(in_memory));
  for (const telemetry::TraceBatch& batch : evidence.spans)
    BASE_CHECK(judge.add(batch).has_value());
  return *judge.finish();
}

}  // namespace touchstone::conformance
