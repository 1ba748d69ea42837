#include "conformance/mutate/good.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "base/check.h"
#include "base/clock.h"
#include "conformance/profile/compiled.h"
#include "conformance/profile/unit.h"

namespace touchstone::conformance::mutate {
namespace {

using telemetry::ResourceSpans;
using telemetry::ScopeSpans;
using telemetry::Span;

template <typename Batches, typename Visit>
void for_each_span(Batches& batches, const Visit& visit) {
  for (size_t b = 0; b < batches.size(); ++b) {
    for (size_t g = 0; g < batches[b].size(); ++g) {
      auto& group = batches[b][g];
      for (size_t s = 0; s < group.scope_spans.size(); ++s) {
        auto& scoped = group.scope_spans[s];
        for (size_t i = 0; i < scoped.spans.size(); ++i) {
          visit(SpanAt{b, g, s, i}, scoped.spans[i]);
        }
      }
    }
  }
}

const records::LedgerEntry* entry_of(const Evidence& evidence, const Span& span) {
  if (!evidence.ledger) return nullptr;
  for (const records::LedgerEntry& entry : *evidence.ledger) {
    if (entry.trace_id == span.trace_id && entry.trace_id.is_valid()) return &entry;
  }
  return nullptr;
}

/// First, middle and last of a list, each once; the middle alone when sampled.
template <typename T>
std::vector<T> few_of(const std::vector<T>& all, Depth depth) {
  if (all.empty()) return {};
  if (depth == Depth::kSampled) return {all[all.size() / 2]};
  std::set<size_t> wanted = {0, all.size() / 2, all.size() - 1};
  std::vector<T> few;
  for (const size_t i : wanted) few.push_back(all[i]);
  return few;
}

}  // namespace

const char* to_string(Mode mode) {
  switch (mode) {
    case Mode::kSpans:
      return "spans";
    case Mode::kMetrics:
      return "spans + metrics";
    case Mode::kLedger:
      return "spans + ledger";
    case Mode::kAll:
      return "all";
  }
  return "spans";
}

Span& span_at(Evidence& evidence, const SpanAt& at) {
  return scope_at(evidence, at).spans[at.span];
}
ScopeSpans& scope_at(Evidence& evidence, const SpanAt& at) {
  return group_at(evidence, at).scope_spans[at.scoped];
}
ResourceSpans& group_at(Evidence& evidence, const SpanAt& at) {
  return evidence.spans[at.batch][at.group];
}

const AttributeRule* GoodSpan::rule(std::string_view key) const {
  if (type == nullptr) return nullptr;
  for (const AttributeRule& rule : type->attributes) {
    if (rule.key == key) return &rule;
  }
  return nullptr;
}

std::optional<double> GoodSpan::number(std::string_view word) const {
  if (word == "duration") return duration_s();
  if (profile == nullptr) return std::nullopt;
  const std::string name(word);
  const std::string& key = profile->key_of(name);
  const telemetry::Value* value = telemetry::find(span->attributes, key);
  if (value == nullptr) return std::nullopt;
  const AttributeRule* of_key = rule(key);
  const double factor = of_key == nullptr ? 1 : to_base_unit(of_key->unit);
  if (const double* number = value->number()) return *number * factor;
  if (const int64_t* integer = value->integer()) return static_cast<double>(*integer) * factor;
  return std::nullopt;
}

double GoodSpan::duration_s() const {
  return static_cast<double>(span->end_unix_ns - span->start_unix_ns) / kNsPerSecond;
}

Good::Good(std::string name, Evidence evidence, std::vector<Profile> profiles, Depth depth)
    : name_(std::move(name)),
      evidence_(std::move(evidence)),
      profiles_(std::move(profiles)),
      depth_(depth) {
  BASE_CHECK(!profiles_.empty());
  std::vector<CompiledProfile> compiled;
  compiled.reserve(profiles_.size());
  for (const Profile& profile : profiles_) compiled.emplace_back(profile);
  for_each_span(evidence_.spans, [&](const SpanAt& at, Span& span) {
    GoodSpan& good = spans_.emplace_back();
    good.at = at;
    good.span = &span;
    for (const CompiledProfile& one : compiled) {
      const CompiledType* type =
          one.classify(span, scope_at(evidence_, at).scope, group_at(evidence_, at).resource);
      if (type == nullptr) continue;
      good.profile = &one.profile();
      good.type = &type->type();
      break;
    }
    if (good.type != nullptr && good.type->is_request) good.entry = entry_of(evidence_, span);
    evidence_.now_unix_ns = std::max(evidence_.now_unix_ns, span.end_unix_ns + 60 * kNsPerSecond);
  });
}

Evidence Good::shown(Mode mode) const {
  Evidence shown = evidence_;
  if (mode == Mode::kSpans || mode == Mode::kMetrics) shown.ledger.reset();
  if (mode == Mode::kSpans || mode == Mode::kLedger) {
    shown.metrics.reset();
    shown.metrics_before.reset();
  }
  if (mode != Mode::kAll) shown.collector_metrics.reset();
  return shown;
}

Modes Good::modes() const {
  Modes modes = only(Mode::kSpans);
  if (evidence_.metrics) modes |= only(Mode::kMetrics);
  if (evidence_.ledger) modes |= only(Mode::kLedger);
  if (evidence_.metrics && evidence_.ledger) modes |= only(Mode::kAll);
  return modes;
}

std::vector<GoodSpan> Good::places(bool requests_only) const {
  std::map<const SpanType*, std::vector<GoodSpan>> by_type;
  for (const GoodSpan& span : spans_) {
    if (span.type == nullptr || (requests_only && !span.type->is_request)) continue;
    by_type[span.type].push_back(span);
  }
  std::vector<GoodSpan> places;
  for (const Profile& profile : profiles_) {
    for (const SpanType& type : profile.spans) {
      for (const GoodSpan& span : few_of(by_type[&type], depth_)) places.push_back(span);
    }
  }
  return places;
}

std::vector<GoodSpan> Good::lone_requests() const {
  std::map<TraceId, int> requests;
  for (const GoodSpan& span : spans_) {
    if (span.type != nullptr && span.type->is_request) ++requests[span.span->trace_id];
  }
  std::vector<GoodSpan> lone;
  for (const GoodSpan& span : spans_) {
    const bool is_request = span.type != nullptr && span.type->is_request;
    const bool well = span.span->status != telemetry::StatusCode::kError;
    if (is_request && well && requests[span.span->trace_id] == 1) lone.push_back(span);
  }
  return lone;
}

std::vector<SpanAt> Good::groups() const {
  std::vector<SpanAt> groups;
  for (const GoodSpan& span : spans_) {
    const bool same = !groups.empty() && groups.back().batch == span.at.batch &&
                      groups.back().group == span.at.group;
    if (!same) groups.push_back(span.at);
  }
  return few_of(groups, depth_);
}

const Reconciliation* Good::histogram_of(std::string_view key) const {
  for (const Profile& profile : profiles_) {
    for (const Reconciliation& rule : profile.reconciliations) {
      const bool is_histogram = rule.kind == Reconciliation::Kind::kHistogram;
      if (is_histogram && profile.key_of(rule.name) == key) return &rule;
    }
  }
  return nullptr;
}

bool Good::is_tight(const Reconciliation& rule) const {
  double counted = 0;
  for (const GoodSpan& span : spans_) {
    const bool well = span.span->status != telemetry::StatusCode::kError;
    const bool is_request = span.type != nullptr && span.type->is_request;
    counted += is_request && well && span.number(rule.name).has_value();
  }
  const std::string name = rule.metric + "_count";
  const auto of = [&](const std::optional<telemetry::MetricsPage>& page) {
    return page ? page->sum(name, {}, rule.failed_label).value_or(0) : 0;
  };
  return evidence_.metrics && of(evidence_.metrics) - of(evidence_.metrics_before) <= counted;
}

const GoodSpan* Good::parent_of(const GoodSpan& place) const {
  for (const GoodSpan& other : spans_) {
    if (other.span->span_id == place.span->parent_span_id &&
        other.span->trace_id == place.span->trace_id) {
      return &other;
    }
  }
  return nullptr;
}

bool Good::counts_requests() const {
  for (const Profile& profile : profiles_) {
    for (const Reconciliation& rule : profile.reconciliations) {
      if (rule.kind == Reconciliation::Kind::kHistogram && is_tight(rule)) return true;
    }
  }
  return false;
}

bool Good::is_exact(const Reconciliation& rule) const {
  for (const GoodSpan& span : spans_) {
    if (span.span->status == telemetry::StatusCode::kError) return false;
  }
  if (!evidence_.ledger || !evidence_.metrics_before) return false;
  return std::none_of(
      evidence_.ledger->begin(), evidence_.ledger->end(), [&](const records::LedgerEntry& entry) {
        const bool unsampled =
            !entry.sampled && entry.outcome == records::ClientOutcome::kCompleted;
        const bool hung_up =
            rule.counts_hung_up && entry.outcome == records::ClientOutcome::kHungUp;
        return unsampled || hung_up || entry.outcome == records::ClientOutcome::kFailed;
      });
}

std::vector<Span*> trace_of(Evidence& evidence, const TraceId& trace) {
  std::vector<Span*> spans;
  for_each_span(evidence.spans, [&](const SpanAt&, Span& span) {
    if (span.trace_id == trace) spans.push_back(&span);
  });
  return spans;
}

std::vector<Span*> family_of(Evidence& evidence, const Span& root) {
  std::vector<Span*> family;
  std::set<SpanId> ids = {root.span_id};
  const std::vector<Span*> trace = trace_of(evidence, root.trace_id);
  for (bool grown = true; grown;) {
    grown = false;
    for (Span* span : trace) {
      if (!ids.contains(span->parent_span_id)) continue;
      grown |= ids.insert(span->span_id).second;
    }
  }
  for (Span* span : trace) {
    if (ids.contains(span->span_id)) family.push_back(span);
  }
  return family;
}

void remove_spans(Evidence& evidence, const std::vector<SpanId>& ids) {
  for (telemetry::TraceBatch& batch : evidence.spans) {
    for (ResourceSpans& group : batch) {
      for (ScopeSpans& scoped : group.scope_spans) {
        std::erase_if(scoped.spans, [&](const Span& span) {
          return std::find(ids.begin(), ids.end(), span.span_id) != ids.end();
        });
      }
    }
  }
}

Span& copy_family(Evidence& evidence, const SpanAt& root) {
  const SpanId root_id = span_at(evidence, root).span_id;
  std::vector<Span> copies;
  for (const Span* span : family_of(evidence, span_at(evidence, root))) copies.push_back(*span);
  std::set<SpanId> ids;
  for (const Span& copy : copies) ids.insert(copy.span_id);
  const auto renew = [](SpanId& id) { id.bytes[0] ^= 0x5A, id.bytes[7] ^= 0xA5; };
  std::vector<Span>& spans = scope_at(evidence, root).spans;
  size_t root_copy = 0;
  for (Span& copy : copies) {
    if (copy.span_id == root_id) root_copy = spans.size();
    if (ids.contains(copy.parent_span_id)) renew(copy.parent_span_id);
    renew(copy.span_id);
    spans.push_back(std::move(copy));
  }
  return spans[root_copy];
}

telemetry::Value* value_of(Span& span, std::string_view key) {
  for (telemetry::KeyValue& attribute : span.attributes) {
    if (attribute.key == key) return &attribute.value;
  }
  return nullptr;
}

}  // namespace touchstone::conformance::mutate
