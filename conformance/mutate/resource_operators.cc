// Resources: who sent the telemetry, and from where.
#include "conformance/checks/attribute_rules.h"
#include "conformance/mutate/operator.h"

namespace touchstone::conformance::mutate {
namespace {

using telemetry::Attributes;
using telemetry::Value;

/// A mutant of each attribute of a resource with a rule that fits.
template <typename Fits, typename Damage>
std::vector<Mutant> on_rules(const Good& good, const Fits& fits, const Damage& damage) {
  std::vector<Mutant> mutants;
  for (const SpanAt& at : good.groups()) {
    const Attributes& resource = good.evidence().spans[at.batch][at.group].resource.attributes;
    for (const Profile& profile : good.profiles()) {
      for (const AttributeRule& rule : profile.resource) {
        const Value* value = telemetry::find(resource, rule.key);
        if (value == nullptr || !fits(rule, resource, *value)) continue;
        mutants.push_back({rule.key + " in group " + std::to_string(at.batch),
                           [at, &rule, damage](Evidence& evidence) {
                             damage(group_at(evidence, at).resource.attributes, rule);
                           },
                           rule.level});
      }
    }
  }
  return mutants;
}

Value& value_in(Attributes& attributes, const std::string& key) {
  return std::find_if(attributes.begin(), attributes.end(),
                      [&](const auto& item) { return item.key == key; })
      ->value;
}

bool is_required(const AttributeRule& rule, const Attributes& resource, const Value&) {
  return rule.level != result::Level::kMay && is_due(rule, resource);
}

std::vector<Mutant> dropped(const Good& good) {
  return on_rules(good, is_required, [](Attributes& resource, const AttributeRule& rule) {
    std::erase_if(resource, [&](const auto& item) { return item.key == rule.key; });
  });
}

std::vector<Mutant> renamed(const Good& good) {
  return on_rules(good, is_required, [](Attributes& resource, const AttributeRule& rule) {
    for (auto& item : resource) {
      if (item.key == rule.key) item.key += "s";
    }
  });
}

std::vector<Mutant> mistyped(const Good& good) {
  const auto fits = [](const AttributeRule& rule, const Attributes&, const Value& value) {
    return rule.type != ValueType::kAny && value.string() != nullptr;
  };
  return on_rules(good, fits, [](Attributes& resource, const AttributeRule& rule) {
    value_in(resource, rule.key) = 7;
  });
}

std::vector<Mutant> other_form(const Good& good) {
  const auto fits = [](const AttributeRule& rule, const Attributes&, const Value&) {
    return !rule.pattern.empty();
  };
  return on_rules(good, fits, [](Attributes& resource, const AttributeRule& rule) {
    value_in(resource, rule.key) = "";
  });
}

std::vector<Mutant> not_listed_value(const Good& good) {
  const auto fits = [](const AttributeRule& rule, const Attributes&, const Value&) {
    return !rule.one_of.empty();
  };
  return on_rules(good, fits, [](Attributes& resource, const AttributeRule& rule) {
    value_in(resource, rule.key) = "elsewhere";
  });
}

std::vector<Mutant> twice(const Good& good) {
  const auto fits = [](const AttributeRule&, const Attributes&, const Value&) { return true; };
  auto mutants = on_rules(good, fits, [](Attributes& resource, const AttributeRule& rule) {
    resource.push_back({rule.key, value_in(resource, rule.key)});
  });
  for (Mutant& mutant : mutants) mutant.level = result::Level::kMust;
  return mutants;
}

template <typename Damage>
std::vector<Mutant> on_groups(const Good& good, const Damage& damage) {
  std::vector<Mutant> mutants;
  for (const SpanAt& at : good.groups()) {
    mutants.push_back({"group " + std::to_string(at.batch), [at, damage](Evidence& evidence) {
                         damage(group_at(evidence, at).resource);
                       }});
  }
  return mutants;
}

std::vector<Mutant> lost(const Good& good) {
  return on_groups(good, [](telemetry::Resource& resource) { resource.attributes.clear(); });
}

std::vector<Mutant> dropped_count(const Good& good) {
  return on_groups(good,
                   [](telemetry::Resource& resource) { resource.dropped_attributes_count = 2; });
}

std::vector<Mutant> forbidden_key(const Good& good) {
  std::vector<Mutant> mutants;
  for (const SpanAt& at : good.groups()) {
    for (const Profile& profile : good.profiles()) {
      for (const ForbiddenKey& rule : profile.resource_forbidden) {
        std::string key = rule.key;
        if (key.ends_with("*")) key.back() = 'x';
        mutants.push_back({key,
                           [at, key](Evidence& evidence) {
                             group_at(evidence, at).resource.attributes.push_back({key, "x"});
                           },
                           rule.level});
      }
    }
  }
  return mutants;
}

std::vector<Mutant> other_service(const Good& good) {
  std::vector<Mutant> mutants;
  for (const Profile& profile : good.profiles()) {
    if (profile.service.empty() || !profile.other_services) continue;
    for (const SpanAt& at : good.groups()) {
      mutants.push_back({"group " + std::to_string(at.batch),
                         [at](Evidence& evidence) {
                           value_in(group_at(evidence, at).resource.attributes, "service.name") =
                               "someone-else";
                         },
                         *profile.other_services});
    }
  }
  return mutants;
}

constexpr OperatorRow kRows[] = {
    {"resource.drop", "a required resource attribute (or region) is missing", kAlways, dropped},
    {"resource.misspell", "a required resource attribute has a misspelt key", kAlways, renamed},
    {"resource.type", "a resource attribute has another type", kAlways, mistyped},
    {"resource.blank", "a resource attribute is empty", kAlways, other_form},
    {"resource.not_listed", "a resource attribute (or region) is none of those allowed", kAlways,
     not_listed_value},
    {"resource.twice", "a resource key stands twice", kAlways, twice},
    {"resource.lose", "a group of spans has lost its resource", kAlways, lost},
    {"resource.dropped", "the sender dropped attributes of a resource", kAlways, dropped_count},
    {"resource.forbidden", "a forbidden resource key", kAlways, forbidden_key},
    {"resource.service", "spans of another service where none are allowed", kAlways,
     other_service}};

}  // namespace

OperatorTable resource_operators() { return kRows; }

}  // namespace touchstone::conformance::mutate
