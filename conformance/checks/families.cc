// Parents and children: who must be whose child, how often, when, and with which numbers.
#include <algorithm>

#include "base/text.h"
#include "conformance/checks/check.h"
#include "conformance/checks/relation_violation.h"

namespace touchstone::conformance {
namespace {

std::string type_name(const FamilyMember& member) {
  return member.type == nullptr ? quote(member.name) : member.type->name();
}

void violation(const FamilyMember& member, Violation violation, Recorder& recorder) {
  violation.place.trace_id = member.trace.hex();
  violation.place.span_id = member.id.hex();
  violation.context["span"] = member.name;
  if (violation.subject.empty()) violation.subject = "span " + member.name;
  recorder.violation(std::move(violation));
}

void parents(const CheckInput&, const Family& family, Recorder& recorder) {
  for (const FamilyMember& member : family.members()) {
    if (member.type == nullptr || member.type->type().parents.empty()) continue;
    recorder.examined();
    const std::vector<std::string>& allowed = member.type->type().parents;
    const FamilyMember* parent = family.parent_of(member);
    const std::string actual = parent == nullptr ? "none that was collected" : type_name(*parent);
    if (parent != nullptr && std::find(allowed.begin(), allowed.end(), actual) != allowed.end()) {
      continue;
    }
    violation(member,
              {.fold = member.type->name() + " " + actual,
               .message = "the parent of the " + member.type->name() + " span is " + actual +
                          ", expected " + join(allowed, " or "),
               .expected = join(allowed, " or "),
               .actual = actual,
               .rule = member.type->type().where},
              recorder);
  }
}

/// Calls `visit(parent, rules, children)` for each span whose type has rules about its children.
template <typename Visit>
void for_each_parent(const Family& family, const Visit& visit) {
  for (const FamilyMember& member : family.members()) {
    if (member.type == nullptr || !member.type->type().children) continue;
    visit(member, *member.type->type().children, family.children_of(member));
  }
}

void children(const CheckInput&, const Family& family, Recorder& recorder) {
  for_each_parent(family, [&](const FamilyMember& parent, const Children& rules,
                              const std::vector<const FamilyMember*>& children) {
    recorder.examined();
    for (const ChildRule& rule : rules.of) {
      const auto count =
          std::count_if(children.begin(), children.end(),
                        [&](const FamilyMember* child) { return type_name(*child) == rule.type; });
      if (count >= rule.min && (!rule.max || count <= *rule.max)) continue;
      const std::string expected = count < rule.min ? "at least " + std::to_string(rule.min)
                                                    : "at most " + std::to_string(*rule.max);
      violation(parent,
                {.level = rules.level,
                 .fold = parent.type->name() + " " + rule.type + " " + expected,
                 .message = "the " + parent.type->name() + " span has " + std::to_string(count) +
                            " children of type " + rule.type + ", expected " + expected,
                 .expected = expected,
                 .actual = std::to_string(count),
                 .context = {{"child", rule.type}},
                 .rule = rule.where},
                recorder);
    }
    if (!rules.others) return;
    for (const FamilyMember* child : children) {
      const std::string type = type_name(*child);
      const bool known = std::any_of(rules.of.begin(), rules.of.end(),
                                     [&](const ChildRule& rule) { return rule.type == type; });
      if (known) continue;
      violation(*child,
                {.level = *rules.others,
                 .fold = parent.type->name() + " " + type,
                 .message = "a " + parent.type->name() + " span has no child " + type,
                 .expected = "only the profile's children",
                 .actual = type,
                 .rule = rules.where},
                recorder);
    }
  });
}

void inside(const CheckInput&, const Family& family, Recorder& recorder) {
  for_each_parent(family, [&](const FamilyMember& parent, const Children& rules,
                              const std::vector<const FamilyMember*>& children) {
    if (!rules.inside) return;
    for (const FamilyMember* child : children) {
      recorder.examined();
      const int64_t early = parent.start_unix_ns - child->start_unix_ns;
      const int64_t late = child->end_unix_ns - parent.end_unix_ns;
      const int64_t off = std::max(early, late);
      if (off <= rules.tolerance_ns) continue;
      violation(
          *child,
          {.level = rules.level,
           .fold = type_name(*child) + (early > late ? " early" : " late"),
           .message = "the " + type_name(*child) + " span " +
                      (early > late ? "starts " + format_duration(early) + " before"
                                    : "ends " + format_duration(late) + " after") +
                      " its parent " + parent.type->name(),
           .expected = "within its parent, give or take " + format_duration(rules.tolerance_ns),
           .actual = format_duration(off) + " outside",
           .rule = rules.where},
          recorder);
    }
  });
}

/// Two neighbours, or a child and its parent's edge, that are `gap` apart (overlap, when negative).
void judge_gap(const FamilyMember& at, const std::string& between, int64_t gap,
               const Children& rules, Recorder& recorder) {
  recorder.examined();
  const bool overlaps = gap < -rules.tolerance_ns;
  const bool parted = rules.layout == Layout::kTile && gap > rules.tolerance_ns;
  if (!overlaps && !parted) return;
  violation(at,
            {.level = rules.level,
             .fold = between + (overlaps ? " overlap" : " gap"),
             .message = between + (overlaps ? " overlap by " : " have a gap of ") +
                        format_duration(overlaps ? -gap : gap) + " between them",
             .expected = rules.layout == Layout::kTile ? "one after the other without a gap"
                                                       : "one after the other",
             .actual = format_duration(gap),
             .rule = rules.where},
            recorder);
}

void layout(const CheckInput&, const Family& family, Recorder& recorder) {
  for_each_parent(family, [&](const FamilyMember& parent, const Children& rules,
                              const std::vector<const FamilyMember*>& children) {
    if (rules.layout == Layout::kAny || children.empty()) return;
    const bool tile = rules.layout == Layout::kTile;
    if (tile) {
      judge_gap(*children.front(),
                "start of " + parent.type->name() + " and " + type_name(*children.front()),
                children.front()->start_unix_ns - parent.start_unix_ns, rules, recorder);
    }
    int64_t end = children.front()->end_unix_ns;
    for (size_t i = 1; i < children.size(); ++i) {
      judge_gap(*children[i], type_name(*children[i - 1]) + " and " + type_name(*children[i]),
                children[i]->start_unix_ns - end, rules, recorder);
      end = std::max(end, children[i]->end_unix_ns);
    }
    if (tile) {
      judge_gap(*children.back(),
                type_name(*children.back()) + " and end of " + parent.type->name(),
                parent.end_unix_ns - end, rules, recorder);
    }
  });
}

/// The value of a term; of children the sum, absent when none of them has it.
Operand operand_of(const Family& family, const FamilyMember& member, const Relation::Term& term) {
  if (term.owner == Relation::Owner::kSelf) return family.value_of(member, term.name);
  if (term.owner == Relation::Owner::kParent) {
    const FamilyMember* parent = family.parent_of(member);
    return parent == nullptr ? Operand{} : family.value_of(*parent, term.name);
  }
  Operand sum;
  for (const FamilyMember* child : family.children_of(member)) {
    if (type_name(*child) != term.child_type) continue;
    Operand value = family.value_of(*child, term.name);
    const double* number = std::get_if<double>(&value);
    double* so_far = std::get_if<double>(&sum);
    if (number != nullptr && so_far != nullptr) {
      *so_far += *number;
    } else if (value.index() != 0) {
      sum = std::move(value);
    }
  }
  return sum;
}

void relations(const CheckInput&, const Family& family, Recorder& recorder) {
  for (const FamilyMember& member : family.members()) {
    if (member.type == nullptr) continue;
    const std::vector<Relation>& rules = member.type->type().relations;
    for (size_t i = 0; i < rules.size(); ++i) {
      const Relation& relation = rules[i];
      if (!relation.crosses_spans() || !member.owes(i)) continue;
      const auto values = evaluate(
          relation, [&](const Relation::Term& term) { return operand_of(family, member, term); });
      if (!values) continue;
      recorder.examined();
      if (values->holds) continue;
      violation(member, relation_violation(relation, *values, member.type->name()), recorder);
    }
  }
}

constexpr char kNoFamily[] = "no span of a type for which the profile names parent or children";
using enum CheckRow::Source;
constexpr CheckRow kRows[] = {
    {.id = "family.parent",
     .title = "Parents are of the type they must be",
     .group = "topology",
     .demanded_by = kTheProfile,
     .source = "the profile's span types (parent) at its pinned version.",
     .nothing = kNoFamily,
     .on_family = parents},
    {.id = "family.children",
     .title = "Every span has its children, each as often as it must",
     .group = "topology",
     .demanded_by = kTheProfile,
     .source = "the profile's span types (children) at its pinned version.",
     .nothing = kNoFamily,
     .on_family = children},
    {.id = "family.inside",
     .title = "Children lie within their parent",
     .group = "time",
     .demanded_by = kTheProfile,
     .source = "the profile's span types (children.inside) at its pinned version.",
     .nothing = kNoFamily,
     .on_family = inside},
    {.id = "family.layout",
     .title = "Children do not overlap and leave no gap",
     .group = "time",
     .demanded_by = kTheProfile,
     .source = "the profile's span types (children.layout) at its pinned version.",
     .nothing = kNoFamily,
     .on_family = layout},
    {.id = "family.relation",
     .title = "Relations between a span and its parent or children",
     .group = "schema",
     .demanded_by = kTheProfile,
     .source = "the profile's relations (parent/NAME, TYPE/NAME) at its pinned version.",
     .nothing = "no span with all the numbers of a relation across spans",
     .on_family = relations}};

}  // namespace

CheckTable family_checks() { return kRows; }

}  // namespace touchstone::conformance
