#include "telemetry/cost/cost_report.h"

#include <initializer_list>
#include <optional>

#include "base/check.h"
#include "base/text.h"
#include "telemetry/cost/billed_usage.h"

namespace touchstone::telemetry {
namespace {

constexpr int64_t kTokensMax = int64_t{1} << 40;

/// The first of these keys that the span has.
const Value* first_of(const Span& span, std::initializer_list<const char*> keys) {
  for (const char* key : keys) {
    if (const Value* value = find(span.attributes, key)) return value;
  }
  return nullptr;
}

std::optional<int64_t> count_of(const Span& span, std::initializer_list<const char*> keys) {
  const Value* value = first_of(span, keys);
  return value != nullptr && value->integer() != nullptr ? std::optional(*value->integer())
                                                         : std::nullopt;
}

std::string text_of(const Span& span, std::initializer_list<const char*> keys) {
  const Value* value = first_of(span, keys);
  return value != nullptr && value->string() != nullptr ? *value->string() : "";
}

}  // namespace

Status CostReport::count(const std::string& tenant, const std::string& model,
                         const std::string& adapter, const Usage& usage) {
  BASE_CHECK(prices_ != nullptr, "no price table");
  const auto price = prices_->find(model, adapter);
  if (!price) {
    return invalid_argument("price table: got no price for model " + quote(model),
                            "add a row for it, or a default one");
  }
  count(tenant, model, usage, cost_of(*price, usage));
  return {};
}

void CostReport::count(const std::string& tenant, const std::string& model, const Usage& usage,
                       const Cost& cost) {
  CostRow& row = rows_[{tenant, model}];
  ++row.requests;
  row.usage.prompt_tokens += usage.prompt_tokens;
  row.usage.cached_tokens += usage.cached_tokens;
  row.usage.completion_tokens += usage.completion_tokens;
  row.cost.e8 += cost.e8;
}

void CostReport::add(const records::RequestRecord& record, const Cost& cost) {
  if (record.outcome == records::Outcome::kRefused) return;
  count(record.tenant, record.model, billed_usage(record), cost);
}

Status CostReport::add(const records::RequestRecord& record) {
  if (record.outcome == records::Outcome::kRefused) return {};
  return count(record.tenant, record.model, record.adapter, billed_usage(record));
}

Status CostReport::add(const TraceBatch& batch) {
  for (const ResourceSpans& group : batch) {
    for (const ScopeSpans& scope : group.scope_spans) {
      for (const Span& span : scope.spans) {
        const auto prompt = count_of(
            span, {"llm.prompt_tokens", "gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"});
        const auto completion =
            count_of(span, {"llm.completion_tokens", "gen_ai.usage.output_tokens",
                            "gen_ai.usage.completion_tokens"});
        if (!prompt || !completion) continue;
        const int64_t cached = count_of(span, {"gen_ai.usage.cache_read.input_tokens"}).value_or(0);
        if (cached < 0 || *prompt < cached || *prompt >= kTokensMax || *completion < 0 ||
            *completion >= kTokensMax) {
          return malformed("span " + span.span_id.hex() + ": got " + std::to_string(*prompt) +
                           " prompt, " + std::to_string(cached) + " cached and " +
                           std::to_string(*completion) + " completion tokens");
        }
        scopes_.insert(scope.scope.name);
        RETURN_IF_ERROR(count(text_of(span, {"llm.user", "tenant.id"}),
                              text_of(span, {"llm.model", "gen_ai.response.model",
                                             "gen_ai.request.model", "gen_ai.model.id"}),
                              "", {*prompt, cached, *completion}));
      }
    }
  }
  return {};
}

CostRow CostReport::total() const {
  CostRow total;
  for (const auto& [key, row] : rows_) {
    total.requests += row.requests;
    total.usage.prompt_tokens += row.usage.prompt_tokens;
    total.usage.cached_tokens += row.usage.cached_tokens;
    total.usage.completion_tokens += row.usage.completion_tokens;
    total.cost.e8 += row.cost.e8;
  }
  return total;
}

}  // namespace touchstone::telemetry
