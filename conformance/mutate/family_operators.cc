// Children: lost, too many, under the wrong parent, outside of it, overlapping, with gaps. Only
// profiles that say something of children have places for these.
#include <algorithm>

#include "conformance/mutate/operator.h"

namespace touchstone::conformance::mutate {
namespace {

using telemetry::Span;

/// Of types that must have a parent of some type.
std::vector<GoodSpan> children(const Good& good) {
  std::vector<GoodSpan> places = good.places();
  std::erase_if(places, [](const GoodSpan& place) { return place.type->parents.empty(); });
  return places;
}

const Children* rules_of_parent(const Good& good, const GoodSpan& child) {
  const GoodSpan* parent = good.parent_of(child);
  if (parent == nullptr || parent->type == nullptr || !parent->type->children) return nullptr;
  return &*parent->type->children;
}

/// Children whose parent's rules fit.
template <typename Fits>
std::vector<GoodSpan> children_where(const Good& good, const Fits& fits) {
  std::vector<GoodSpan> places = children(good);
  std::erase_if(places, [&](const GoodSpan& place) {
    const Children* rules = rules_of_parent(good, place);
    return rules == nullptr || !fits(place, *rules);
  });
  return places;
}

template <typename Damage>
std::vector<Mutant> mutants_of(const std::vector<GoodSpan>& places, const Damage& damage) {
  std::vector<Mutant> mutants;
  for (const GoodSpan& place : places) {
    mutants.push_back(
        {place_text(place), [at = place.at, damage](Evidence& evidence) { damage(evidence, at); }});
  }
  return mutants;
}

bool is_tiled(const GoodSpan&, const Children& rules) { return rules.layout == Layout::kTile; }
bool is_ordered(const GoodSpan&, const Children& rules) { return rules.layout != Layout::kAny; }

/// True when its loss shows: it is counted, or leaves a gap.
bool is_missed(const GoodSpan& place, const Children& rules) {
  if (rules.layout == Layout::kTile && place.duration_s() > 0) return true;
  return std::any_of(rules.of.begin(), rules.of.end(), [&](const ChildRule& rule) {
    return rule.type == place.type->type && rule.min > 0 && rule.max == rule.min;
  });
}

std::vector<Mutant> lost(const Good& good) {
  return mutants_of(children_where(good, is_missed), [](Evidence& evidence, const SpanAt& at) {
    remove_spans(evidence, {span_at(evidence, at).span_id});
  });
}

std::vector<Mutant> lost_parent(const Good& good) {
  std::vector<GoodSpan> places = good.places();
  std::erase_if(places, [&](const GoodSpan& place) {
    return std::none_of(good.spans().begin(), good.spans().end(), [&](const GoodSpan& other) {
      return other.type != nullptr && !other.type->parents.empty() &&
             other.span->parent_span_id == place.span->span_id;
    });
  });
  return mutants_of(places, [](Evidence& evidence, const SpanAt& at) {
    remove_spans(evidence, {span_at(evidence, at).span_id});
  });
}

std::vector<Mutant> twice(const Good& good) {
  const auto fits = [](const GoodSpan& place, const Children& rules) {
    const bool counted = std::any_of(rules.of.begin(), rules.of.end(), [&](const ChildRule& rule) {
      return rule.type == place.type->type && rule.max && *rule.max < 1000;
    });
    return counted || (rules.layout != Layout::kAny && place.duration_s() > 0);
  };
  return mutants_of(children_where(good, fits), [](Evidence& evidence, const SpanAt& at) {
    Span copy = span_at(evidence, at);
    copy.span_id.bytes[3] ^= 0xFF;
    scope_at(evidence, at).spans.push_back(copy);
  });
}

std::vector<Mutant> of_other_type(const Good& good) {
  std::vector<Mutant> mutants;
  for (const GoodSpan& place : children(good)) {
    for (const GoodSpan& other : good.spans()) {
      const auto& allowed = place.type->parents;
      if (other.type == nullptr || other.span->trace_id != place.span->trace_id) continue;
      if (std::find(allowed.begin(), allowed.end(), other.type->type) != allowed.end()) continue;
      if (other.span == place.span) continue;
      mutants.push_back({place_text(place) + " under " + other.type->type,
                         [at = place.at, id = other.span->span_id](Evidence& evidence) {
                           span_at(evidence, at).parent_span_id = id;
                         }});
      break;
    }
  }
  return mutants;
}

/// Under a span of the right type, in another trace: a whole other request.
std::vector<Mutant> of_other_request(const Good& good) {
  std::vector<Mutant> mutants;
  for (const GoodSpan& place : children_where(good, is_missed)) {
    const GoodSpan* parent = good.parent_of(place);
    for (const GoodSpan& other : good.spans()) {
      if (other.type != parent->type || other.span->trace_id == place.span->trace_id) continue;
      mutants.push_back({place_text(place), [at = place.at, to = other.at](Evidence& evidence) {
                           span_at(evidence, at).parent_span_id = span_at(evidence, to).span_id;
                           span_at(evidence, at).trace_id = span_at(evidence, to).trace_id;
                         }});
      break;
    }
  }
  return mutants;
}

std::vector<Mutant> without_parent(const Good& good) {
  return on_spans(children(good), [](Span& span) { span.parent_span_id = {}; });
}

std::vector<Mutant> outside(const Good& good) {
  const auto fits = [](const GoodSpan&, const Children& rules) { return rules.inside; };
  return on_spans(children_where(good, fits), [](Span& span) {
    span.start_unix_ns += 10'000'000'000;
    span.end_unix_ns += 10'000'000'000;
  });
}

std::vector<Mutant> outlives(const Good& good) {
  const auto fits = [](const GoodSpan&, const Children& rules) { return rules.inside; };
  return on_spans(children_where(good, fits),
                  [](Span& span) { span.end_unix_ns += 10'000'000'000; });
}

/// The sibling that ends last of those that end before the place begins, and takes a while.
const GoodSpan* before(const Good& good, const GoodSpan& place) {
  const GoodSpan* last = nullptr;
  for (const GoodSpan& other : good.spans()) {
    const Span& span = *other.span;
    if (span.parent_span_id != place.span->parent_span_id || &span == place.span) continue;
    if (span.end_unix_ns > place.span->start_unix_ns) continue;
    if (span.end_unix_ns - span.start_unix_ns <= 2) continue;
    if (last == nullptr || last->span->end_unix_ns < span.end_unix_ns) last = &other;
  }
  return last;
}

std::vector<Mutant> overlapping(const Good& good) {
  std::vector<Mutant> mutants;
  for (const GoodSpan& place : children_where(good, is_ordered)) {
    const GoodSpan* sibling = before(good, place);
    if (sibling == nullptr) continue;
    mutants.push_back(
        {place_text(place), [at = place.at, end = sibling->span->end_unix_ns](Evidence& evidence) {
           span_at(evidence, at).start_unix_ns = end - 2;
         }});
  }
  return mutants;
}

std::vector<Mutant> shortened(const Good& good) {
  std::vector<GoodSpan> places = children_where(good, is_tiled);
  std::erase_if(places, [](const GoodSpan& place) { return place.duration_s() == 0; });
  return on_spans(places, [](Span& span) {
    span.end_unix_ns -= std::max<int64_t>(1, (span.end_unix_ns - span.start_unix_ns) / 2);
  });
}

std::vector<Mutant> invented(const Good& good) {
  std::vector<Mutant> mutants;
  for (const GoodSpan& place : good.places()) {
    if (!place.type->children || !place.type->children->others) continue;
    mutants.push_back({place_text(place),
                       [at = place.at](Evidence& evidence) {
                         Span child = span_at(evidence, at);
                         child.parent_span_id = child.span_id;
                         child.span_id.bytes[3] ^= 0xFF;
                         child.name = "scheduling";
                         child.kind = telemetry::SpanKind::kInternal;
                         child.attributes.clear();
                         child.events.clear();
                         child.flags = telemetry::kFlagHasIsRemote;
                         scope_at(evidence, at).spans.push_back(child);
                       },
                       *place.type->children->others});
  }
  return mutants;
}

constexpr OperatorRow kRows[] = {
    {"child.lose", "a child is missing", kAlways, lost},
    {"child.lose_parent", "a parent is missing, its children are there", kAlways, lost_parent},
    {"child.twice", "a child is there twice", kAlways, twice},
    {"child.wrong_type", "a child of a span of another type", kAlways, of_other_type},
    {"child.wrong_request", "a child of another request", kAlways, of_other_request},
    {"child.root", "a child without a parent", kAlways, without_parent},
    {"child.outside", "a child outside its parent's time", kAlways, outside},
    {"child.outlive", "a child that outlives its parent", kAlways, outlives},
    {"child.overlap", "children that overlap", kAlways, overlapping},
    {"child.gap", "children with a gap between them", kAlways, shortened},
    {"child.invent", "a child that its parent has not", kAlways, invented}};

}  // namespace

OperatorTable family_operators() { return kRows; }

}  // namespace touchstone::conformance::mutate
