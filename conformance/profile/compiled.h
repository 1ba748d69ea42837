// A profile made ready to judge many spans: patterns compiled, keys and words resolved to slots.
// Borrows the Profile. Read-only after construction, but for its patterns' scratch and for what
// types remember of the order of keys, and of allowed texts: one thread.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "conformance/profile/pattern.h"
#include "conformance/profile/profile.h"
#include "telemetry/span.h"

namespace touchstone::conformance {

/// Where a span of one type has the number behind a word.
struct NumberPlace {
  bool is_duration = false;         ///< the span's own
  std::optional<size_t> slot = {};  ///< else of an attribute; nullopt: nowhere
};

struct CompiledRule {
  explicit CompiledRule(const AttributeRule& attribute);
  const AttributeRule* rule;
  std::optional<Pattern> pattern;
  double to_base = 1;  ///< from the rule's unit
  bool is_time = false;
  NumberPlace number = {};  ///< of a span's rule: its attribute
};

/// A relation within one span of one type.
struct CompiledRelation {
  struct Term {
    double factor;
    std::optional<NumberPlace> number;  ///< nullopt: the factor alone
  };
  const Relation* relation;
  std::vector<Term> left;
  std::vector<Term> right;
};

/// What one type says of a key.
struct KeyRules {
  std::optional<size_t> slot = {};
  bool is_forbidden = false;
};

/// The keys of one type in the order in which its spans have them. A sender writes them in the same
/// order each time, so the next key is mostly the one that followed before: comparing is cheaper
/// than looking up.
class KeyOrder final {
 public:
  struct Entry {
    std::string key;
    KeyRules rules;
  };
  /// The entry for `key`, `at` or soon after it; `at` then stands behind it. Null: none is there.
  const Entry* next(std::string_view key, size_t& at) const;
  /// Puts an entry at `at`, which then stands behind it. Few and short ones are kept.
  void remember(std::string_view key, const KeyRules& rules, size_t& at);

 private:
  std::vector<Entry> entries_;
};

/// One span type. A slot stands for an attribute key: first those of the rules, in their order,
/// then the others that the profile's names and relations use.
class CompiledType final {
 public:
  CompiledType(const Profile& profile, const SpanType& type, size_t index);

  const SpanType& type() const { return *type_; }
  const std::string& name() const { return type_->type; }
  size_t index() const { return index_; }  ///< in Profile::spans
  const std::vector<CompiledRule>& rules() const { return rules_; }
  size_t slots() const { return factors_.size(); }
  std::optional<size_t> slot_of_key(std::string_view key) const;
  /// As slot_of_key(), and whether a rule forbids it. `at`: 0 at a span's first key, then as the
  /// call before left it.
  KeyRules rules_of_key(std::string_view key, size_t& at) const;
  /// Of a word of Profile::names or a key.
  std::optional<size_t> slot_of_word(std::string_view word) const;
  /// Of a word, `duration` or a key.
  NumberPlace number_of(std::string_view word) const;
  const std::vector<CompiledRelation>& relations() const { return relations_; }
  /// From the unit of the slot's rule to its base unit.
  double to_base(size_t slot) const { return factors_[slot]; }
  const std::optional<Pattern>& expected_name() const { return expected_name_; }
  bool matches(const telemetry::Span& span, const telemetry::Scope& scope,
               const telemetry::Resource& resource) const;
  /// Whether a type that names its scope matches a span of another scope in all the rest; where the
  /// scope is the whole match, in the name and kind that are expected.
  bool matches_but_scope(const telemetry::Span& span, const telemetry::Resource& resource) const;

 private:
  bool matches_name(const telemetry::Span& span) const;
  bool matches_resource(const telemetry::Resource& resource) const;

  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  using Slots = std::unordered_map<std::string, size_t, Hash, std::equal_to<>>;
  size_t add_key(const std::string& key);
  void add_keys(const Profile& profile, const Relation& relation);
  std::vector<CompiledRelation::Term> compiled_terms(const std::vector<Relation::Term>& side) const;

  const SpanType* type_;
  size_t index_;
  std::vector<CompiledRule> rules_;
  std::vector<double> factors_;  // by slot
  Slots keys_;
  Slots words_;
  std::vector<CompiledRelation> relations_;
  mutable KeyOrder order_;
  std::optional<Pattern> match_name_;
  std::optional<Pattern> expected_name_;
};

class CompiledProfile final {
 public:
  explicit CompiledProfile(const Profile& profile);

  const Profile& profile() const { return *profile_; }
  const std::vector<CompiledType>& types() const { return types_; }
  const std::vector<CompiledRule>& resource_rules() const { return resource_rules_; }
  /// By position in Profile::forbidden_values.
  const std::vector<Pattern>& forbidden_values() const { return forbidden_values_; }
  /// True when none of them matches: most texts come again and again, and are matched once.
  bool is_allowed(std::string_view text) const;
  bool has_request_type() const;
  /// True when rules look from a span at its parent or children.
  bool has_families() const;
  /// The first type whose match holds; null: none.
  const CompiledType* classify(const telemetry::Span& span, const telemetry::Scope& scope,
                               const telemetry::Resource& resource) const;
  /// A request's type that matches a span of no type but for its scope; null: none.
  const CompiledType* classify_loosely(const telemetry::Span& span,
                                       const telemetry::Resource& resource) const;
  /// True when a span that is of no type is the profile's business all the same: its types name the
  /// span's scope, or no scope at all, or the span has the name of a request's.
  bool owns(const telemetry::Span& span, const telemetry::Scope& scope) const;
  /// True when the profile names its service and this is another.
  bool is_other_service(const telemetry::Resource& resource) const;

 private:
  const Profile* profile_;
  std::vector<CompiledType> types_;
  std::vector<CompiledRule> resource_rules_;
  std::vector<Pattern> forbidden_values_;
  std::vector<std::string> scopes_;           // that its types name
  std::vector<std::string> request_names_;    // of spans that stand for a request
  mutable std::vector<std::string> allowed_;  // short texts that were, by hash
  std::optional<Pattern> service_;
};

}  // namespace touchstone::conformance
