// Keys and values that must not stand anywhere: every string of every signal is searched.
#include <algorithm>

#include "base/text.h"
#include "conformance/checks/check.h"

namespace touchstone::conformance {
namespace {

using telemetry::Attributes;
using telemetry::Value;

/// True when `place` is `key`, of which one `*` stands for any part.
bool fits(std::string_view key, std::string_view place) {
  const size_t star = key.find('*');
  if (star == std::string_view::npos) return key == place;
  return place.size() + 1 >= key.size() && place.starts_with(key.substr(0, star)) &&
         place.ends_with(key.substr(star + 1));
}

/// Searches texts for the forbidden values of all profiles.
class Search {
 public:
  Search(const CheckInput& input, const SpanView* view, const char* signal, Recorder& recorder)
      : input_(input), view_(view), signal_(signal), recorder_(recorder) {}

  void text(const std::string& place, std::string_view text) {
    if (text.empty()) return;
    for (const auto& observed : input_.profiles) {
      if (observed->compiled.is_allowed(text)) continue;
      const auto& rules = observed->profile().forbidden_values;
      for (size_t i = 0; i < rules.size(); ++i) {
        const auto& except = rules[i].except;
        if (std::any_of(except.begin(), except.end(),
                        [&](const auto& key) { return fits(key, place); })) {
          continue;
        }
        if (observed->compiled.forbidden_values()[i].matches(text)) found(rules[i], place);
      }
    }
  }
  void key(std::string_view key) {
    for (const auto& observed : input_.profiles) {
      for (const ForbiddenKey& rule : observed->profile().forbidden_keys) {
        if (covers(rule, key)) found_key(rule, std::string(key));
      }
    }
  }
  void value(const std::string& place, const Value& value) {
    if (const std::string* string = value.string()) text(place, *string);
    if (const auto* items = std::get_if<Value::Array>(&value.data)) {
      for (const Value& item : *items) this->value(place, item);
    } else if (const auto* map = std::get_if<Value::Map>(&value.data)) {
      attributes(*map);
    } else if (const auto* bytes = std::get_if<Value::Bytes>(&value.data)) {
      text(place, bytes->data);
    }
  }
  void attributes(const Attributes& attributes) {
    for (const telemetry::KeyValue& attribute : attributes) {
      key(attribute.key);
      text("attribute key", attribute.key);
      value(attribute.key, attribute.value);
    }
  }

 private:
  /// The value itself is what must not be shown.
  void found(const ForbiddenValue& rule, const std::string& place) {
    Violation violation{.level = rule.level,
                        .fold = rule.where + " " + place,
                        .signal = signal_,
                        .subject = std::string(signal_) + " " + place,
                        .message = place + " holds what it must not: " + rule.reason,
                        .expected = "no match of /" + rule.pattern + "/",
                        .actual = "a match",
                        .context = {{"where", place}},
                        .rule = rule.where};
    record(std::move(violation));
  }
  void found_key(const ForbiddenKey& rule, const std::string& key) {
    record({.level = rule.level,
            .fold = rule.where + " " + key,
            .signal = signal_,
            .subject = std::string(signal_) + " " + key,
            .message = "no " + std::string(signal_) + " may carry " + key + ": " + rule.reason,
            .expected = "absent",
            .actual = "present",
            .context = {{"attribute", key}},
            .rule = rule.where});
  }
  void record(Violation violation) {
    if (view_ != nullptr) {
      recorder_.violation(*view_, std::move(violation));
    } else {
      recorder_.violation(std::move(violation));
    }
  }

  const CheckInput& input_;
  const SpanView* view_;
  const char* signal_;
  Recorder& recorder_;
};

bool any_rule(const CheckInput& input) {
  return std::any_of(input.profiles.begin(), input.profiles.end(), [](const auto& observed) {
    return !observed->profile().forbidden_values.empty() ||
           !observed->profile().forbidden_keys.empty();
  });
}

void in_span(const CheckInput& input, const SpanView& view, Recorder& recorder) {
  if (!any_rule(input) || view.other_service) return;
  recorder.examined();
  const telemetry::Span& span = *view.span;
  Search search(input, &view, "span", recorder);
  search.text("name", span.name);
  search.text("tracestate", span.trace_state);
  search.text("status message", span.status_message);
  search.attributes(span.attributes);
  for (const telemetry::Event& event : span.events) {
    search.text("event name", event.name);
    search.attributes(event.attributes);
  }
  for (const telemetry::Link& link : span.links) {
    search.text("link tracestate", link.trace_state);
    search.attributes(link.attributes);
  }
  search.text("scope name", view.scope->name);
  search.text("scope version", view.scope->version);
  search.attributes(view.scope->attributes);
}

void in_resource(const CheckInput& input, const telemetry::Resource& resource, Recorder& recorder) {
  if (!any_rule(input)) return;
  recorder.examined();
  Search(input, nullptr, "resource", recorder).attributes(resource.attributes);
}

void in_metrics(const CheckInput& input, Recorder& recorder) {
  if (!any_rule(input) || !input.evidence.metrics) return;
  Search search(input, nullptr, "metric", recorder);
  for (const telemetry::MetricFamily& family : input.evidence.metrics->families) {
    for (const telemetry::Sample& sample : family.samples) {
      recorder.examined();
      for (const auto& [label, value] : sample.labels) {
        search.key(label);
        search.text(label, value);
      }
    }
  }
}

constexpr CheckRow kRows[] = {
    {.id = "content.forbidden",
     .title = "No forbidden key and no forbidden value in any text",
     .group = "content",
     .of = CheckRow::Of::kRun,
     .demanded_by = CheckRow::Source::kTheProfile,
     .source =
         "the profile's forbidden_keys and forbidden_values at its pinned version, each with its "
         "reason.",
     .nothing = "the profile forbids no key everywhere and no value",
     .on_span = in_span,
     .on_resource = in_resource,
     .at_end = in_metrics}};

}  // namespace

CheckTable content_checks() { return kRows; }

}  // namespace touchstone::conformance
