#include "harness/audit.h"

#include <algorithm>
#include <functional>
#include <unordered_set>
#include <utility>

#include "base/text.h"
#include "harness/backends/in_place.h"

namespace touchstone::harness {
namespace {

using conformance::Evidence;
using conformance::JudgedFiles;
using telemetry::TraceBatch;
using Visit = std::function<Status(const TraceBatch&)>;

/// Keeps the requests and spans of a window. A span that belongs to a request stays or goes with
/// it, so that neither is accused for the other's absence.
class WindowFilter final {
 public:
  explicit WindowFilter(const TimeWindow& window) : window_(window) {}

  /// Of requests that were sent at another time.
  std::vector<TraceId> outside() const { return {outside_.begin(), outside_.end()}; }

  void filter_ledger(std::vector<records::LedgerEntry>& ledger) {
    for (const records::LedgerEntry& entry : ledger) {
      (window_.contains(entry.sent_unix_ns) ? inside_ : outside_).insert(entry.trace_id);
    }
    std::erase_if(ledger, [&](const auto& entry) { return !window_.contains(entry.sent_unix_ns); });
  }

  /// `whole_traces`: whose spans are in the window if any of them is.
  void filter(TraceBatch& batch, bool whole_traces) const {
    for (telemetry::ResourceSpans& group : batch) {
      for (telemetry::ScopeSpans& scoped : group.scope_spans) {
        std::erase_if(scoped.spans, [&](const telemetry::Span& span) {
          if (inside_.contains(span.trace_id)) return false;
          if (outside_.contains(span.trace_id)) return true;
          return !whole_traces && !window_.contains(span.start_unix_ns);
        });
      }
      std::erase_if(group.scope_spans, [](const auto& scoped) { return scoped.spans.empty(); });
    }
    std::erase_if(batch, [](const auto& group) { return group.scope_spans.empty(); });
  }

 private:
  const TimeWindow window_;
  std::unordered_set<TraceId> inside_;  // of requests
  std::unordered_set<TraceId> outside_;
};

/// What a failure inside of a window may come from.
std::vector<EvidenceLoss> window_losses() {
  return {{"a window of time may cut traces in two",
           {"topology.orphan", "topology.one_root", "family"},
           EvidenceLoss::Effect::kFailure},
          {"the counters are not of this window of time alone",
           {"reconcile.counters", "reconcile.requests", "reconcile.histograms", "collector"},
           EvidenceLoss::Effect::kFailure}};
}

bool is_hit(const EvidenceLoss& loss, const result::CheckOutcome& check) {
  if (loss.effect == EvidenceLoss::Effect::kFailure && check.verdict != result::Verdict::kFail) {
    return false;
  }
  return std::any_of(loss.checks.begin(), loss.checks.end(), [&](const std::string& id) {
    return check.id == id || check.id.starts_with(id + ".");
  });
}

/// Checks that `loss` bears on are left out, because of it.
void apply(const EvidenceLoss& loss, const std::string& because, result::Report& report) {
  std::vector<std::string> ids;
  for (result::CheckOutcome& check : report.checks) {
    if (check.verdict == result::Verdict::kSkip || !is_hit(loss, check)) continue;
    check.verdict = result::Verdict::kSkip;
    check.findings.clear();
    check.reason = "not judged: " + because;
    if (std::find(ids.begin(), ids.end(), check.id) == ids.end()) ids.push_back(check.id);
  }
  if (ids.empty()) return;
  report.notes.push_back(because + ": " + join(ids, ", ") + (ids.size() == 1 ? " was" : " were") +
                         " not judged.");
}

TimeWindow window_of(const AuditSources& sources, int64_t now_unix_ns) {
  return sources.window.value_or(TimeWindow{0, now_unix_ns});
}

class Audit final {
 public:
  Audit(const AuditSources& sources, const std::optional<WindowFilter>& filter, Evidence& evidence,
        conformance::Judge& judge)
      : sources_(sources), filter_(filter), evidence_(evidence), judge_(judge) {}

  Status read_files() {
    RETURN_IF_ERROR(conformance::read_spans(sources_.paths.spans, evidence_, visitor(false)));
    if (!sources_.paths.live) conformance::count_torn_tails_as_problems(evidence_);
    return {};
  }

  Status read(const BackendAddress& address, int64_t now_unix_ns) {
    const auto backend = kind_of(address).make(address);
    auto read = backend->read(window_of(sources_, now_unix_ns), visitor(true));
    if (!read) return std::move(read).error().with_context("--backend " + address.kind);
    for (std::string& problem : read->problems) {
      evidence_.span_problems.push_back(std::move(problem));
    }
    return {};
  }

 private:
  Visit visitor(bool whole_traces) {
    return [this, whole_traces](const TraceBatch& batch) {
      if (!filter_) return judge_.add(batch);
      TraceBatch kept = batch;
      filter_->filter(kept, whole_traces);
      return judge_.add(kept);
    };
  }

  const AuditSources& sources_;
  const std::optional<WindowFilter>& filter_;
  Evidence& evidence_;
  conformance::Judge& judge_;
};

/// ERRORS: kInvalidArgument for a profile that tells spans by their scope where a backend loses it.
Status check_scopes(const BackendAddress& address,
                    const std::vector<conformance::Profile>& profiles) {
  if (kind_of(address).keeps_scope) return {};
  for (const conformance::Profile& profile : profiles) {
    for (const conformance::SpanType& type : profile.spans) {
      if (!type.match.scope) continue;
      return invalid_argument(
          "--backend: " + address.kind + " does not give back scopes, and " + type.where +
              " tells " + type.type + " spans by theirs",
          "a profile of your own may `extends: " + profile.name + "` and match by name");
    }
  }
  return {};
}

/// ERRORS: kInvalidArgument, also for what is judged in place and does not stand alone.
Status check_sources(const AuditSources& sources,
                     const std::vector<conformance::Profile>& profiles) {
  for (const BackendAddress& address : sources.backends) {
    RETURN_IF_ERROR(check_scopes(address, profiles));
    if (kind_of(address).make != nullptr) continue;
    if (sources.backends.size() == 1 && sources.paths.spans.empty()) continue;
    return invalid_argument("--backend: " + address.kind +
                            " is judged where it lies, expected no "
                            "other backend and no --file beside it");
  }
  return {};
}

}  // namespace

Result<JudgedFiles> audit(const AuditSources& sources, int64_t now_unix_ns,
                          const std::vector<conformance::Profile>& profiles,
                          const conformance::JudgeOptions& options) {
  RETURN_IF_ERROR(check_sources(sources, profiles));
  Result<Evidence> evidence = conformance::read_evidence(sources.paths, now_unix_ns);
  if (!evidence) return std::move(evidence).error();
  std::optional<WindowFilter> filter;
  if (sources.window) filter.emplace(*sources.window);
  if (filter && evidence->ledger) filter->filter_ledger(*evidence->ledger);
  if (!sources.backends.empty() && kind_of(sources.backends.front()).make == nullptr) {
    const std::vector<TraceId> elsewhere = filter ? filter->outside() : std::vector<TraceId>();
    return judge_in_clickhouse(sources.backends.front(), window_of(sources, now_unix_ns), *evidence,
                               elsewhere, profiles, options);
  }
  conformance::Judge judge(*evidence, profiles, options);
  Audit audit(sources, filter, *evidence, judge);
  RETURN_IF_ERROR(audit.read_files());
  for (const BackendAddress& address : sources.backends) {
    RETURN_IF_ERROR(audit.read(address, now_unix_ns));
  }
  const int64_t spans = judge.spans();
  auto report = judge.finish();
  if (!report) return std::move(report).error();
  for (const BackendAddress& address : sources.backends) {
    for (const EvidenceLoss& loss : kind_of(address).losses)
      apply(loss, address.kind + " does not give back " + loss.what, *report);
  }
  if (sources.window) {
    for (const EvidenceLoss& loss : window_losses()) apply(loss, loss.what, *report);
  }
  if (spans > 0) {
    result::decide(*report, options.fail_on);
    report->summary = conformance::summary_of(*report, spans);
  }
  report->provenance.digests.insert(evidence->span_digests.begin(), evidence->span_digests.end());
  return JudgedFiles{*std::move(report), spans};
}

}  // namespace touchstone::harness
