// Attributes missing, misnamed, mistyped, repeated, unknown, forbidden, or with a wrong text.
#include "conformance/checks/attribute_rules.h"
#include "conformance/mutate/operator.h"

namespace touchstone::conformance::mutate {
namespace {

using telemetry::Span;
using telemetry::Value;

bool is_required(const AttributeRule& rule, const GoodSpan& place) {
  return rule.level != result::Level::kMay && is_due(rule, place.span->attributes);
}

void drop(Span& span, const std::string& key, const AttributeRule&) {
  std::erase_if(span.attributes, [&](const auto& item) { return item.key == key; });
}

std::vector<Mutant> dropped(const Good& good) {
  return on_ruled_attributes(good, is_required, drop);
}

std::vector<Mutant> optional_dropped(const Good& good) {
  const auto fits = [](const AttributeRule& rule, const GoodSpan& place) {
    return !is_required(rule, place);
  };
  return on_ruled_attributes(good, fits, drop);
}

template <typename Rename>
std::vector<Mutant> renamed(const Good& good, const Rename& rename) {
  return on_ruled_attributes(good, is_required,
                             [rename](Span& span, const std::string& key, const AttributeRule&) {
                               for (auto& item : span.attributes) {
                                 if (item.key == key) item.key = rename(key);
                               }
                             });
}

std::vector<Mutant> misspelt(const Good& good) {
  return renamed(good, [](const std::string& key) { return key + "s"; });
}

std::vector<Mutant> underscored(const Good& good) {
  return renamed(good, [](std::string key) {
    for (char& c : key) c = c == '.' ? '_' : c;
    return key;
  });
}

std::vector<Mutant> renamed_by_version(const Good& good) {
  std::vector<Mutant> mutants;
  for (const GoodSpan& place : good.places()) {
    for (const Rename& rename : place.profile->renames) {
      const AttributeRule* rule = place.rule(rename.key);
      if (rule == nullptr || !is_required(*rule, place)) continue;
      mutants.push_back({rename.key + " of " + place_text(place),
                         [at = place.at, &rename](Evidence& evidence) {
                           for (auto& item : span_at(evidence, at).attributes) {
                             if (item.key == rename.key) item.key = rename.other;
                           }
                         },
                         rule->level});
    }
  }
  return mutants;
}

template <typename Change>
std::vector<Mutant> mistyped(const Good& good, const Change& change) {
  const auto fits = [change](const AttributeRule& rule, const GoodSpan& place) {
    const auto other = change(*telemetry::find(place.span->attributes, rule.key));
    return other.has_value() && !has_type(*other, rule.type);
  };
  return on_ruled_attributes(good, fits,
                             [change](Span& span, const std::string& key, const AttributeRule&) {
                               Value& value = *value_of(span, key);
                               value = *change(value);
                             });
}

std::vector<Mutant> as_text(const Good& good) {
  return mistyped(good, [](const Value& value) -> std::optional<Value> {
    if (value.string() != nullptr) return std::nullopt;
    return Value(value.text());
  });
}

std::vector<Mutant> as_number(const Good& good) {
  return mistyped(good, [](const Value& value) -> std::optional<Value> {
    if (value.string() == nullptr) return std::nullopt;
    return Value(7);
  });
}

std::vector<Mutant> as_int(const Good& good) {
  return mistyped(good, [](const Value& value) -> std::optional<Value> {
    if (value.number() == nullptr) return std::nullopt;
    return Value(static_cast<int64_t>(*value.number()));
  });
}

std::vector<Mutant> as_double(const Good& good) {
  return mistyped(good, [](const Value& value) -> std::optional<Value> {
    if (value.integer() == nullptr) return std::nullopt;
    return Value(static_cast<double>(*value.integer()));
  });
}

std::vector<Mutant> as_list(const Good& good) {
  return mistyped(
      good, [](const Value& value) -> std::optional<Value> { return Value(Value::Array{value}); });
}

std::vector<Mutant> as_bytes(const Good& good) {
  return mistyped(good, [](const Value& value) -> std::optional<Value> {
    Value bytes;
    bytes.data = Value::Bytes{value.text()};
    return bytes;
  });
}

std::vector<Mutant> emptied(const Good& good) {
  return mistyped(good, [](const Value&) -> std::optional<Value> { return Value(); });
}

bool any(const AttributeRule&, const GoodSpan&) { return true; }

std::vector<Mutant> at_must(std::vector<Mutant> mutants) {
  for (Mutant& mutant : mutants) mutant.level = result::Level::kMust;
  return mutants;
}

std::vector<Mutant> twice(const Good& good) {
  return at_must(
      on_ruled_attributes(good, any, [](Span& span, const std::string& key, const AttributeRule&) {
        span.attributes.push_back({key, *value_of(span, key)});
      }));
}

std::vector<Mutant> twice_otherwise(const Good& good) {
  return at_must(
      on_ruled_attributes(good, any, [](Span& span, const std::string& key, const AttributeRule&) {
        span.attributes.insert(span.attributes.begin(), {key, Value("other")});
      }));
}

std::vector<Mutant> not_listed_value(const Good& good) {
  const auto fits = [](const AttributeRule& rule, const GoodSpan&) { return !rule.one_of.empty(); };
  return on_ruled_attributes(good, fits,
                             [](Span& span, const std::string& key, const AttributeRule&) {
                               Value& value = *value_of(span, key);
                               const bool list = value.string() == nullptr;
                               value = list ? Value(Value::Array{Value("other")}) : Value("other");
                             });
}

std::vector<Mutant> other_form(const Good& good) {
  const auto fits = [](const AttributeRule& rule, const GoodSpan& place) {
    const bool text = telemetry::find(place.span->attributes, rule.key)->string() != nullptr;
    return !rule.pattern.empty() && rule.pattern != ".+" && text;
  };
  return on_ruled_attributes(good, fits,
                             [](Span& span, const std::string& key, const AttributeRule&) {
                               *value_of(span, key) = "\xC2\xA7 1";
                             });
}

std::vector<Mutant> blank(const Good& good) {
  const auto fits = [](const AttributeRule& rule, const GoodSpan& place) {
    const bool text = telemetry::find(place.span->attributes, rule.key)->string() != nullptr;
    return !rule.pattern.empty() && text;
  };
  return on_ruled_attributes(
      good, fits,
      [](Span& span, const std::string& key, const AttributeRule&) { *value_of(span, key) = ""; });
}

/// `closed`: of types that close their list of keys, or else of the others.
std::vector<Mutant> key_added(const Good& good, bool closed) {
  std::vector<Mutant> mutants;
  for (const GoodSpan& place : good.places()) {
    if (place.type->unknown_attributes.has_value() != closed) continue;
    mutants.push_back({place_text(place),
                       [at = place.at](Evidence& evidence) {
                         span_at(evidence, at).attributes.push_back({"app.note", "x"});
                       },
                       place.type->unknown_attributes.value_or(result::Level::kMust)});
  }
  return mutants;
}
std::vector<Mutant> unknown_key(const Good& good) { return key_added(good, true); }
std::vector<Mutant> allowed_key(const Good& good) { return key_added(good, false); }

std::vector<Mutant> forbidden_key(const Good& good) {
  std::vector<Mutant> mutants;
  for (const GoodSpan& place : good.places()) {
    for (const ForbiddenKey& rule : place.type->forbidden) {
      std::string key = rule.key;
      if (key.ends_with("*")) key.back() = 'x';
      mutants.push_back({key + " on " + place_text(place),
                         [at = place.at, key](Evidence& evidence) {
                           span_at(evidence, at).attributes.push_back({key, "x"});
                         },
                         rule.level});
    }
  }
  return mutants;
}

constexpr OperatorRow kRows[] = {
    {"attribute.drop", "a required attribute is missing", kAlways, dropped},
    {"attribute.drop_optional", "an attribute that may be absent is missing", kNever,
     optional_dropped},
    {"attribute.misspell", "a required attribute has a misspelt key", kAlways, misspelt},
    {"attribute.underscore", "a required attribute has underscores for dots", kAlways, underscored},
    {"attribute.rename", "a required attribute has its name of another version", kAlways,
     renamed_by_version},
    {"attribute.as_text", "a number, list or flag is sent as text", kAlways, as_text},
    {"attribute.as_number", "a text is sent as a number", kAlways, as_number},
    {"attribute.as_int", "a double is sent as an integer", kAlways, as_int},
    {"attribute.as_double", "an integer is sent as a double", kAlways, as_double},
    {"attribute.as_list", "a single value is sent as a list", kAlways, as_list},
    {"attribute.as_bytes", "a value is sent as bytes", kAlways, as_bytes},
    {"attribute.empty", "a value is sent with no field set", kAlways, emptied},
    {"attribute.twice", "a key stands twice", kAlways, twice},
    {"attribute.twice_otherwise", "a key stands twice, with two values", kAlways, twice_otherwise},
    {"attribute.not_listed", "a value is none of those allowed", kAlways, not_listed_value},
    {"attribute.form", "a value has another form", kAlways, other_form},
    {"attribute.blank", "a value is an empty text", kAlways, blank},
    {"attribute.unknown", "a key that the profile does not know, where it closes the list", kAlways,
     unknown_key},
    {"attribute.unknown_allowed", "a key that the profile does not know, where it allows others",
     kNever, allowed_key},
    {"attribute.forbidden", "a forbidden key", kAlways, forbidden_key}};

}  // namespace

OperatorTable attribute_operators() { return kRows; }

}  // namespace touchstone::conformance::mutate
