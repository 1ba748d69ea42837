#include "conformance/observed.h"

#include "conformance/profile/pattern.h"

namespace touchstone::conformance {
namespace {

/// The patterns of a profile's matches, compiled once for all spans.
class Matcher {
 public:
  explicit Matcher(const Profile& profile) {
    for (const SpanType& type : profile.spans) {
      Row row{&type, std::nullopt};
      if (type.match.name_pattern) {
        Result<Pattern> pattern = Pattern::compile(*type.match.name_pattern);
        BASE_CHECK(pattern.has_value(), "parse_profile compiles every pattern");
        row.pattern = *std::move(pattern);
      }
      rows_.push_back(std::move(row));
    }
  }

  const SpanType* classify(const telemetry::Span& span, const telemetry::Scope& scope,
                           const telemetry::Resource& resource) const {
    for (const Row& row : rows_) {
      const SpanMatch& match = row.type->match;
      bool holds = (!match.name || *match.name == span.name) &&
                   (!row.pattern || row.pattern->matches(span.name)) &&
                   (!match.kind || *match.kind == span.kind) &&
                   (!match.scope || *match.scope == scope.name);
      for (const auto& [key, text] : match.resource) {
        const telemetry::Value* value = telemetry::find(resource.attributes, key);
        holds = holds && value != nullptr && value->text() == text;
      }
      if (holds) return row.type;
    }
    return nullptr;
  }

 private:
  struct Row {
    const SpanType* type;
    std::optional<Pattern> pattern;
  };
  std::vector<Row> rows_;
};

}  // namespace

SpanIndex::SpanIndex(const std::vector<telemetry::TraceBatch>& batches, const Profile& profile) {
  const Matcher matcher(profile);
  for (const telemetry::TraceBatch& batch : batches) {
    for (const telemetry::ResourceSpans& group : batch) {
      size_t resource = 0;
      while (resource < resources.size() && !(*resources[resource] == group.resource)) ++resource;
      if (resource == resources.size()) resources.push_back(&group.resource);
      for (const telemetry::ScopeSpans& scoped : group.scope_spans) {
        for (const telemetry::Span& span : scoped.spans) {
          const size_t index = spans.size();
          spans.push_back(
              {.span = &span,
               .scope = &scoped.scope,
               .schema_url = scoped.schema_url.empty() ? &group.schema_url : &scoped.schema_url,
               .resource = resource,
               .type = matcher.classify(span, scoped.scope, group.resource)});
          by_trace[span.trace_id].push_back(index);
          by_id.try_emplace({span.trace_id, span.span_id}, index);
        }
      }
    }
  }
}

std::optional<double> SpanIndex::number(const SpanView& view, const Profile& profile,
                                        const std::string& word) {
  if (word == "duration") {
    return static_cast<double>(view.span->end_unix_ns - view.span->start_unix_ns) / 1e9;
  }
  const telemetry::Value* value = telemetry::find(view.span->attributes, profile.key_of(word));
  if (value == nullptr) return std::nullopt;
  if (const int64_t* integer = value->integer()) return static_cast<double>(*integer);
  if (const double* number = value->number()) return *number;
  return std::nullopt;
}

std::optional<std::string> SpanIndex::text(const SpanView& view, const Profile& profile,
                                           const std::string& word) {
  const telemetry::Value* value = telemetry::find(view.span->attributes, profile.key_of(word));
  if (value == nullptr || value->string() == nullptr) return std::nullopt;
  return *value->string();
}

}  // namespace touchstone::conformance
