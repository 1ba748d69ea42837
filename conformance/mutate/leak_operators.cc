// Content and personal data where they must not be: every kind of it in every place for a text.
#include <algorithm>

#include "conformance/mutate/operator.h"

namespace touchstone::conformance::mutate {
namespace {

using telemetry::Span;

struct Payload {
  const char* name;
  const char* text;
};
/// What every profile with `forbidden_values` finds.
constexpr Payload kPayloads[] = {
    {"an e-mail address", "jane.roe@example.org"},
    {"a prompt", "Please write a letter to my doctor about the pain in my back"},
    {"a prompt in Russian",
     "\xD0\x9D\xD0\xB0\xD0\xBF\xD0\xB8\xD1\x88\xD0\xB8 "
     "\xD0\xBF\xD0\xB8\xD1\x81\xD1\x8C\xD0\xBC\xD0\xBE "
     "\xD0\xBC\xD0\xBE\xD0\xB5\xD0\xBC\xD1\x83 "
     "\xD0\xB2\xD1\x80\xD0\xB0\xD1\x87\xD1\x83 \xD0\xBE "
     "\xD0\xB1\xD0\xBE\xD0\xBB\xD0\xB8 \xD0\xB2 "
     "\xD1\x81\xD0\xBF\xD0\xB8\xD0\xBD\xD0\xB5 "
     "\xD0\xBF\xD0\xBE\xD0\xB6\xD0\xB0\xD0\xBB\xD1\x83\xD0\xB9\xD1\x81\xD1\x82\xD0\xB0"},
    {"a prompt in Chinese",
     "\xE8\xAF\xB7\xE7\xBB\x99\xE6\x88\x91\xE7\x9A\x84\xE5\x8C\xBB\xE7\x94\x9F\xE5\x86\x99\xE4\xB8"
     "\x80\xE5\xB0\x81\xE4\xBF\xA1\xE8\xAF\xB4\xE6\x98\x8E\xE6\x88\x91\xE7\x9A\x84\xE8\x83\x8C\xE7"
     "\x97\x9B\xE6\x83\x85\xE5\x86\xB5"},
    {"a key of the API", "Bearer sk-proj-Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MA"},
};
/// What the profile `privacy` finds besides.
constexpr Payload kPersonal[] = {{"a telephone number", "+49 170 5551234"},
                                 {"an account number", "DE89 3704 0044 0532 0130 00"}};
/// What no pattern tells from an identifier.
constexpr Payload kShort[] = {{"four words of a prompt", "my back hurts badly"},
                              {"a name", "Jane Roe"}};

bool forbids_values(const Good& good) {
  for (const Profile& profile : good.profiles()) {
    if (!profile.forbidden_values.empty()) return true;
  }
  return false;
}

/// A mutant of each payload at one place in the evidence.
template <size_t N, typename Put>
void leak(const Payload (&payloads)[N], const std::string& place, const Put& put,
          std::vector<Mutant>& mutants) {
  for (const Payload& payload : payloads) {
    mutants.push_back(
        {std::string(payload.name) + " in " + place,
         [put, text = std::string(payload.text)](Evidence& evidence) { put(evidence, text); }});
  }
}

template <size_t N, typename Put>
std::vector<Mutant> in_spans(const Good& good, const Payload (&payloads)[N], const Put& put) {
  std::vector<Mutant> mutants;
  if (!forbids_values(good)) return mutants;
  for (const GoodSpan& place : good.places()) {
    leak(
        payloads, place_text(place),
        [at = place.at, put](Evidence& evidence, const std::string& text) {
          put(span_at(evidence, at), text);
        },
        mutants);
  }
  return mutants;
}

std::vector<Mutant> in_attribute(const Good& good) {
  return in_spans(good, kPayloads, [](Span& span, const std::string& text) {
    span.attributes.push_back({"note", text});
  });
}
std::vector<Mutant> personal(const Good& good) {
  const bool is_private =
      std::any_of(good.profiles().begin(), good.profiles().end(),
                  [](const Profile& profile) { return profile.name == "privacy"; });
  if (!is_private) return {};
  return in_spans(good, kPersonal, [](Span& span, const std::string& text) {
    span.attributes.push_back({"note", text});
  });
}
std::vector<Mutant> short_text(const Good& good) {
  // Under a key that the type knows: a new key is told by its name.
  std::vector<Mutant> mutants;
  for (const GoodSpan& place : good.places()) {
    for (const telemetry::KeyValue& attribute : place.span->attributes) {
      const AttributeRule* rule = place.rule(attribute.key);
      if (rule == nullptr || rule->pattern != ".+") continue;
      leak(
          kShort, attribute.key + " of " + place_text(place),
          [at = place.at, key = attribute.key](Evidence& evidence, const std::string& text) {
            *value_of(span_at(evidence, at), key) = text;
          },
          mutants);
    }
  }
  return mutants;
}
std::vector<Mutant> in_list(const Good& good) {
  return in_spans(good, kPayloads, [](Span& span, const std::string& text) {
    span.attributes.push_back({"notes", telemetry::Value(telemetry::Value::Array{text})});
  });
}
std::vector<Mutant> in_map(const Good& good) {
  return in_spans(good, kPayloads, [](Span& span, const std::string& text) {
    telemetry::Value map;
    map.data = telemetry::Value::Map{{"content", text}};
    span.attributes.push_back({"messages", map});
  });
}
std::vector<Mutant> in_known_attribute(const Good& good) {
  return in_spans(good, kPayloads, [](Span& span, const std::string& text) {
    for (telemetry::KeyValue& attribute : span.attributes) {
      if (attribute.value.string() == nullptr) continue;
      attribute.value = *attribute.value.string() + " " + text;
      return;
    }
    span.attributes.push_back({"note", text});
  });
}
std::vector<Mutant> in_key(const Good& good) {
  return in_spans(good, kPayloads, [](Span& span, const std::string& text) {
    span.attributes.push_back({text, 1});
  });
}
std::vector<Mutant> in_name(const Good& good) {
  return in_spans(good, kPayloads,
                  [](Span& span, const std::string& text) { span.name += " " + text; });
}
std::vector<Mutant> in_status(const Good& good) {
  return in_spans(good, kPayloads,
                  [](Span& span, const std::string& text) { span.status_message = text; });
}
std::vector<Mutant> in_tracestate(const Good& good) {
  return in_spans(good, kPayloads,
                  [](Span& span, const std::string& text) { span.trace_state = "v=" + text; });
}
std::vector<Mutant> in_event(const Good& good) {
  return in_spans(good, kPayloads, [](Span& span, const std::string& text) {
    telemetry::Event& event = span.events.emplace_back();
    event.name = "note";
    event.time_unix_ns = span.start_unix_ns;
    event.attributes = {{"content", text}};
  });
}
std::vector<Mutant> in_link(const Good& good) {
  return in_spans(good, kPayloads, [](Span& span, const std::string& text) {
    telemetry::Link& link = span.links.emplace_back();
    link.trace_id = span.trace_id;
    link.span_id = span.span_id;
    link.attributes = {{"content", text}};
  });
}

template <typename Put>
std::vector<Mutant> in_groups(const Good& good, const Put& put) {
  std::vector<Mutant> mutants;
  if (!forbids_values(good)) return mutants;
  for (const SpanAt& at : good.groups()) {
    leak(
        kPayloads, "group " + std::to_string(at.batch),
        [at, put](Evidence& evidence, const std::string& text) { put(evidence, at, text); },
        mutants);
  }
  return mutants;
}
std::vector<Mutant> in_resource(const Good& good) {
  return in_groups(good, [](Evidence& evidence, const SpanAt& at, const std::string& text) {
    group_at(evidence, at).resource.attributes.push_back({"note", text});
  });
}
std::vector<Mutant> in_scope(const Good& good) {
  return in_groups(good, [](Evidence& evidence, const SpanAt& at, const std::string& text) {
    scope_at(evidence, at).scope.attributes.push_back({"note", text});
  });
}
std::vector<Mutant> in_label(const Good& good) {
  std::vector<Mutant> mutants;
  if (!forbids_values(good) || !good.evidence().metrics) return mutants;
  leak(
      kPayloads, "a metric's label",
      [](Evidence& evidence, const std::string& text) {
        evidence.metrics->families.push_back(
            {"app_requests", "counter", "", {{"app_requests", {{"who", text}}, 1}}});
      },
      mutants);
  return mutants;
}

/// Each key that must stand nowhere, put by `put(evidence, at, key)`.
template <typename Put>
std::vector<Mutant> forbidden_keys(const Good& good, const Put& put) {
  std::vector<Mutant> mutants;
  const std::vector<GoodSpan> places = good.places();
  for (const Profile& profile : good.profiles()) {
    for (const ForbiddenKey& rule : profile.forbidden_keys) {
      std::string key = rule.key;
      if (key.ends_with("*")) key.back() = 'x';
      mutants.push_back(
          {key + " in " + place_text(places.front()),
           [at = places.front().at, key, put](Evidence& evidence) { put(evidence, at, key); },
           rule.level});
    }
  }
  return mutants;
}
std::vector<Mutant> key_of_span(const Good& good) {
  return forbidden_keys(good, [](Evidence& evidence, const SpanAt& at, const std::string& key) {
    span_at(evidence, at).attributes.push_back({key, "x"});
  });
}
std::vector<Mutant> key_of_event(const Good& good) {
  return forbidden_keys(good, [](Evidence& evidence, const SpanAt& at, const std::string& key) {
    telemetry::Event& event = span_at(evidence, at).events.emplace_back();
    event.name = "note";
    event.attributes = {{key, "x"}};
  });
}
std::vector<Mutant> key_of_resource(const Good& good) {
  return forbidden_keys(good, [](Evidence& evidence, const SpanAt& at, const std::string& key) {
    group_at(evidence, at).resource.attributes.push_back({key, "x"});
  });
}
std::vector<Mutant> key_in_map(const Good& good) {
  return forbidden_keys(good, [](Evidence& evidence, const SpanAt& at, const std::string& key) {
    telemetry::Value map;
    map.data = telemetry::Value::Map{{key, "x"}};
    scope_at(evidence, at).scope.attributes.push_back({"build", map});
  });
}

constexpr OperatorRow kRows[] = {
    {"leak.attribute", "content under a new key", kAlways, in_attribute},
    {"leak.known_attribute", "content in a text that belongs there", kAlways, in_known_attribute},
    {"leak.short", "a few words of content in a text that belongs there", kNever, short_text},
    {"leak.personal", "a number of a person, where the profile privacy judges", kAlways, personal},
    {"leak.list", "content in a list", kAlways, in_list},
    {"leak.map", "content in a map", kAlways, in_map},
    {"leak.key", "content as a key", kAlways, in_key},
    {"leak.name", "content in a span's name", kAlways, in_name},
    {"leak.status", "content in a status message", kAlways, in_status},
    {"leak.tracestate", "content in a tracestate", kAlways, in_tracestate},
    {"leak.event", "content in an event", kAlways, in_event},
    {"leak.link", "content in a link", kAlways, in_link},
    {"leak.resource", "content in a resource", kAlways, in_resource},
    {"leak.scope", "content in a scope", kAlways, in_scope},
    {"leak.key_of_span", "a key that must stand nowhere, on a span", kAlways, key_of_span},
    {"leak.key_of_event", "the same on an event", kAlways, key_of_event},
    {"leak.key_of_resource", "the same on a resource", kAlways, key_of_resource},
    {"leak.key_in_map", "the same in a map of a scope", kAlways, key_in_map},
    {"leak.metric", "content in a metric's label", kWithMetrics, in_label, kWithMetrics}};

}  // namespace

OperatorTable leak_operators() { return kRows; }

}  // namespace touchstone::conformance::mutate
