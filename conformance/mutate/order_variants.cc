// Order and batches, of which OTLP promises nothing.
#include <algorithm>
#include <utility>

#include "base/random.h"
#include "conformance/mutate/variant.h"

namespace touchstone::conformance::mutate {
namespace {

using telemetry::ResourceSpans;
using telemetry::ScopeSpans;
using telemetry::Span;
using telemetry::TraceBatch;

bool batches_reversed(const Good&, Evidence& evidence) {
  std::reverse(evidence.spans.begin(), evidence.spans.end());
  return evidence.spans.size() > 1;
}

template <typename Visit>
void each_span_list(Evidence& evidence, const Visit& visit) {
  for (TraceBatch& batch : evidence.spans) {
    for (ResourceSpans& group : batch) {
      for (ScopeSpans& scoped : group.scope_spans) visit(scoped.spans);
    }
  }
}

bool spans_reversed(const Good&, Evidence& evidence) {
  each_span_list(evidence,
                 [](std::vector<Span>& spans) { std::reverse(spans.begin(), spans.end()); });
  return true;
}

/// Every span in a batch of its own, with its resource and scope.
std::vector<TraceBatch> one_by_one(const Evidence& evidence) {
  std::vector<TraceBatch> batches;
  for (const TraceBatch& batch : evidence.spans) {
    for (const ResourceSpans& group : batch) {
      for (const ScopeSpans& scoped : group.scope_spans) {
        for (const Span& span : scoped.spans) {
          batches.push_back(
              {{group.resource, group.schema_url, {{scoped.scope, scoped.schema_url, {span}}}}});
        }
      }
    }
  }
  return batches;
}

bool singly(const Good&, Evidence& evidence) {
  evidence.spans = one_by_one(evidence);
  return true;
}

bool shuffled(const Good&, Evidence& evidence) {
  std::vector<TraceBatch> batches = one_by_one(evidence);
  RandomStream random(1, "variants");
  for (size_t i = batches.size(); i > 1; --i) std::swap(batches[i - 1], batches[random.below(i)]);
  evidence.spans = std::move(batches);
  return true;
}

bool in_one_batch(const Good&, Evidence& evidence) {
  TraceBatch all;
  for (TraceBatch& batch : evidence.spans) {
    for (ResourceSpans& group : batch) all.push_back(std::move(group));
  }
  evidence.spans = {std::move(all)};
  return true;
}

bool scopes_split(const Good&, Evidence& evidence) {
  for (TraceBatch& batch : evidence.spans) {
    for (ResourceSpans& group : batch) {
      std::vector<ScopeSpans> split;
      for (ScopeSpans& scoped : group.scope_spans) {
        for (Span& span : scoped.spans) split.push_back({scoped.scope, scoped.schema_url, {span}});
      }
      group.scope_spans = std::move(split);
    }
  }
  return true;
}

bool attributes_reversed(const Good&, Evidence& evidence) {
  each_span_list(evidence, [](std::vector<Span>& spans) {
    for (Span& span : spans) std::reverse(span.attributes.begin(), span.attributes.end());
  });
  return true;
}

bool resources_reversed(const Good&, Evidence& evidence) {
  for (TraceBatch& batch : evidence.spans) {
    for (ResourceSpans& group : batch) {
      std::reverse(group.resource.attributes.begin(), group.resource.attributes.end());
    }
  }
  return true;
}

bool empty_groups(const Good&, Evidence& evidence) {
  const telemetry::Resource resource = evidence.spans.front().front().resource;
  evidence.spans.insert(evidence.spans.begin(), TraceBatch{});
  evidence.spans.push_back({{resource, "", {}}});
  evidence.spans.push_back({{resource, "", {{{"some.scope", "", {}}, "", {}}}}});
  return true;
}

bool ledger_reversed(const Good&, Evidence& evidence) {
  std::reverse(evidence.ledger->begin(), evidence.ledger->end());
  return true;
}

bool page_reversed(const Good&, Evidence& evidence) {
  std::reverse(evidence.metrics->families.begin(), evidence.metrics->families.end());
  return true;
}

constexpr VariantRow kRows[] = {
    {"order.batches", "batches in another order", batches_reversed},
    {"order.spans", "spans of a batch in another order", spans_reversed},
    {"order.singly", "every span in a batch of its own", singly},
    {"order.shuffled", "spans in any order", shuffled},
    {"order.one_batch", "all in one batch", in_one_batch},
    {"order.scopes", "a scope's spans in several groups", scopes_split},
    {"order.attributes", "attributes in another order", attributes_reversed},
    {"order.resources", "resource attributes in another order", resources_reversed},
    {"order.empty", "batches, resources and scopes without spans", empty_groups},
    {"order.ledger", "the ledger in another order", ledger_reversed, kWithLedger},
    {"order.metrics", "metric families in another order", page_reversed, kWithMetrics}};

}  // namespace

VariantTable order_variants() { return kRows; }

}  // namespace touchstone::conformance::mutate
