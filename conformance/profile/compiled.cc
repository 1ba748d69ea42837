#include "conformance/profile/compiled.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "conformance/profile/unit.h"

namespace touchstone::conformance {
namespace {

Pattern compiled(const std::string& expression, Pattern::Extent extent = Pattern::Extent::kWhole) {
  Result<Pattern> pattern = Pattern::compile(expression, extent);
  BASE_CHECK(pattern.has_value(), "parse_profile compiles every pattern");
  return *std::move(pattern);
}

/// A number for a text that is cheap to tell: most texts differ in their ends.
size_t spread(std::string_view text) {
  uint64_t first = text.size();
  uint64_t last = 0;
  const size_t some = std::min(text.size(), sizeof first);
  std::memcpy(&first, text.data(), some);
  std::memcpy(&last, text.data() + text.size() - some, some);
  return static_cast<size_t>((first ^ std::rotl(last, 32) ^ text.size()) * 0x9e3779b97f4a7c15 >>
                             40);
}

}  // namespace

const KeyOrder::Entry* KeyOrder::next(std::string_view key, size_t& at) const {
  constexpr size_t kAhead = 3;  // keys that a span may leave out
  const size_t end = std::min(entries_.size(), at + kAhead);
  for (size_t i = at; i < end; ++i) {
    if (entries_[i].key != key) continue;
    at = i + 1;
    return &entries_[i];
  }
  return nullptr;
}

void KeyOrder::remember(std::string_view key, const KeyRules& rules, size_t& at) {
  constexpr size_t kEntriesMax = 64;
  constexpr size_t kKeyBytesMax = 128;
  if (key.size() > kKeyBytesMax) return;
  if (entries_.size() == kEntriesMax) entries_.clear();  // another order may have begun
  at = std::min(at, entries_.size());
  entries_.insert(entries_.begin() + static_cast<std::ptrdiff_t>(at), {std::string(key), rules});
  ++at;
}

CompiledRule::CompiledRule(const AttributeRule& attribute)
    : rule(&attribute),
      to_base(to_base_unit(attribute.unit)),
      is_time(is_time_unit(attribute.unit)) {
  if (!attribute.pattern.empty()) pattern = compiled(attribute.pattern);
}

CompiledType::CompiledType(const Profile& profile, const SpanType& type, size_t index)
    : type_(&type), index_(index) {
  for (const AttributeRule& rule : type.attributes) {
    rules_.emplace_back(rule);
    add_key(rule.key);
    factors_.back() = rules_.back().to_base;
  }
  for (const auto& [word, key] : profile.names) words_[word] = add_key(key);
  // Relations of other types may ask for this one's values.
  for (const SpanType& other : profile.spans) {
    for (const Relation& relation : other.relations) {
      if (&other == &type || relation.crosses_spans()) add_keys(profile, relation);
    }
  }
  for (CompiledRule& rule : rules_) rule.number = number_of(rule.rule->key);
  for (const Relation& relation : type.relations) {
    if (relation.crosses_spans()) continue;
    relations_.push_back(
        {&relation, compiled_terms(relation.left), compiled_terms(relation.right)});
  }
  if (type.match.name_pattern) match_name_ = compiled(*type.match.name_pattern);
  if (type.name_pattern) expected_name_ = compiled(*type.name_pattern);
}

void CompiledType::add_keys(const Profile& profile, const Relation& relation) {
  for (const auto* side : {&relation.left, &relation.right}) {
    for (const Relation::Term& term : *side) {
      if (!term.name.empty()) add_key(profile.key_of(term.name));
    }
  }
  if (relation.when) add_key(profile.key_of(relation.when->key));
}

size_t CompiledType::add_key(const std::string& key) {
  const auto [found, is_new] = keys_.try_emplace(key, factors_.size());
  if (is_new) factors_.push_back(1);
  return found->second;
}

std::optional<size_t> CompiledType::slot_of_key(std::string_view key) const {
  const auto found = keys_.find(key);
  if (found == keys_.end()) return std::nullopt;
  return found->second;
}

KeyRules CompiledType::rules_of_key(std::string_view key, size_t& at) const {
  if (const KeyOrder::Entry* known = order_.next(key, at)) return known->rules;
  const std::vector<ForbiddenKey>& forbidden = type_->forbidden;
  const KeyRules rules{slot_of_key(key),
                       std::any_of(forbidden.begin(), forbidden.end(),
                                   [&](const ForbiddenKey& rule) { return covers(rule, key); })};
  order_.remember(key, rules, at);
  return rules;
}

NumberPlace CompiledType::number_of(std::string_view word) const {
  if (word == "duration") return {.is_duration = true};
  return {.slot = slot_of_word(word)};
}

std::vector<CompiledRelation::Term> CompiledType::compiled_terms(
    const std::vector<Relation::Term>& side) const {
  std::vector<CompiledRelation::Term> terms;
  for (const Relation::Term& term : side) {
    terms.push_back(
        {term.factor, term.name.empty() ? std::nullopt : std::optional(number_of(term.name))});
  }
  return terms;
}

std::optional<size_t> CompiledType::slot_of_word(std::string_view word) const {
  const auto found = words_.find(word);
  return found == words_.end() ? slot_of_key(word) : std::optional<size_t>(found->second);
}

bool CompiledType::matches(const telemetry::Span& span, const telemetry::Scope& scope,
                           const telemetry::Resource& resource) const {
  const SpanMatch& match = type_->match;
  return (!match.kind || *match.kind == span.kind) &&
         (!match.scope || *match.scope == scope.name) && matches_name(span) &&
         matches_resource(resource);
}

bool CompiledType::matches_name(const telemetry::Span& span) const {
  const SpanMatch& match = type_->match;
  return (!match.name || *match.name == span.name) &&
         (!match_name_ || match_name_->matches(span.name));
}

bool CompiledType::matches_resource(const telemetry::Resource& resource) const {
  for (const auto& [key, text] : type_->match.resource) {
    const telemetry::Value* value = telemetry::find(resource.attributes, key);
    if (value == nullptr || value->text() != text) return false;
  }
  return true;
}

bool CompiledType::matches_but_scope(const telemetry::Span& span,
                                     const telemetry::Resource& resource) const {
  const SpanMatch& match = type_->match;
  if (!match.scope || !matches_resource(resource)) return false;
  if (match.name || match_name_) {
    return matches_name(span) && (!match.kind || *match.kind == span.kind);
  }
  const std::optional<telemetry::SpanKind>& kind = match.kind ? match.kind : type_->kind;
  return expected_name_ && expected_name_->matches(span.name) && kind && *kind == span.kind;
}

CompiledProfile::CompiledProfile(const Profile& profile) : profile_(&profile) {
  for (size_t i = 0; i < profile.spans.size(); ++i) {
    const SpanType& type = profile.spans[i];
    types_.emplace_back(profile, type, i);
    if (type.match.scope) scopes_.push_back(*type.match.scope);
    scopes_.insert(scopes_.end(), type.scopes.begin(), type.scopes.end());
    if (type.is_request && type.match.name) request_names_.push_back(*type.match.name);
  }
  for (const AttributeRule& rule : profile.resource) resource_rules_.emplace_back(rule);
  for (const ForbiddenValue& value : profile.forbidden_values) {
    forbidden_values_.push_back(compiled(value.pattern, Pattern::Extent::kAnywhere));
  }
  if (!profile.service.empty()) service_ = compiled(profile.service);
}

bool CompiledProfile::is_allowed(std::string_view text) const {
  constexpr size_t kTexts = 1024;
  constexpr size_t kTextBytesMax = 64;
  if (forbidden_values_.empty() || text.empty()) return true;
  allowed_.resize(kTexts);
  std::string& known = allowed_[spread(text) % kTexts];
  if (known == text) return true;
  const bool forbidden = std::any_of(forbidden_values_.begin(), forbidden_values_.end(),
                                     [&](const Pattern& value) { return value.matches(text); });
  if (!forbidden && text.size() <= kTextBytesMax) known = text;
  return !forbidden;
}

bool CompiledProfile::has_request_type() const {
  return std::any_of(types_.begin(), types_.end(),
                     [](const CompiledType& type) { return type.type().is_request; });
}

bool CompiledProfile::has_families() const {
  return std::any_of(types_.begin(), types_.end(), [](const CompiledType& compiled_type) {
    const SpanType& type = compiled_type.type();
    const bool crosses =
        std::any_of(type.relations.begin(), type.relations.end(),
                    [](const Relation& relation) { return relation.crosses_spans(); });
    return crosses || !type.parents.empty() || type.children.has_value();
  });
}

const CompiledType* CompiledProfile::classify(const telemetry::Span& span,
                                              const telemetry::Scope& scope,
                                              const telemetry::Resource& resource) const {
  for (const CompiledType& type : types_) {
    if (type.matches(span, scope, resource)) return &type;
  }
  return nullptr;
}

const CompiledType* CompiledProfile::classify_loosely(const telemetry::Span& span,
                                                      const telemetry::Resource& resource) const {
  for (const CompiledType& type : types_) {
    if (type.type().is_request && type.matches_but_scope(span, resource)) return &type;
  }
  return nullptr;
}

bool CompiledProfile::owns(const telemetry::Span& span, const telemetry::Scope& scope) const {
  const auto has = [](const std::vector<std::string>& texts, const std::string& text) {
    return std::find(texts.begin(), texts.end(), text) != texts.end();
  };
  return scopes_.empty() || has(scopes_, scope.name) || has(request_names_, span.name);
}

bool CompiledProfile::is_other_service(const telemetry::Resource& resource) const {
  if (!service_) return false;
  const telemetry::Value* name = telemetry::find(resource.attributes, "service.name");
  return name == nullptr || name->string() == nullptr || !service_->matches(*name->string());
}

}  // namespace touchstone::conformance
