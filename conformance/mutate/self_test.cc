#include "conformance/mutate/self_test.h"

#include <algorithm>
#include <optional>

#include "conformance/checks/check.h"
#include "conformance/judge.h"

namespace touchstone::conformance::mutate {
namespace {

using result::CheckOutcome;
using result::Finding;
using result::Level;
using result::Report;
using result::Verdict;

Report judged(const Evidence& evidence, const Good& good) {
  return judge(evidence, good.profiles(),
               {.budgets = {}, .suppressions = {}, .fail_on = Level::kMay});
}

/// True when the check says that something is wrong, at this level or a stronger one.
bool objects(const CheckOutcome& check, Level level) {
  if (check.verdict == Verdict::kUnknown) return true;
  return std::any_of(check.findings.begin(), check.findings.end(),
                     [&](const Finding& finding) { return finding.level <= level; });
}

std::vector<std::string> alarms_in(const Report& report, Level quiet) {
  std::vector<std::string> alarms;
  for (const CheckOutcome& check : report.checks) {
    if (check.verdict == Verdict::kUnknown) alarms.push_back(check.id + ": " + check.reason);
    for (const Finding& finding : check.findings) {
      if (finding.level <= quiet) alarms.push_back(check.id + ": " + finding.message);
    }
  }
  return alarms;
}

/// A few evenly spaced ones when sampled.
std::vector<Mutant> chosen(std::vector<Mutant> mutants, Depth depth) {
  constexpr size_t kFew = 3;
  if (depth == Depth::kWhole || mutants.size() <= kFew) return mutants;
  std::vector<Mutant> few;
  for (size_t i = 0; i < kFew; ++i) {
    few.push_back(std::move(mutants[i * (mutants.size() - 1) / (kFew - 1)]));
  }
  return few;
}

/// `file:line` without folders: a profile's name is unique.
std::string rule_name(const std::string& where) { return where.substr(where.rfind('/') + 1); }

void add_rules(const Profile& profile, std::set<std::string>& rules) {
  for (const AttributeRule& rule : profile.resource) rules.insert(rule_name(rule.where));
  for (const ForbiddenKey& rule : profile.resource_forbidden) rules.insert(rule_name(rule.where));
  for (const ForbiddenKey& rule : profile.forbidden_keys) rules.insert(rule_name(rule.where));
  for (const ForbiddenValue& rule : profile.forbidden_values) rules.insert(rule_name(rule.where));
  for (const SpanType& type : profile.spans) {
    for (const AttributeRule& rule : type.attributes) rules.insert(rule_name(rule.where));
    for (const ForbiddenKey& rule : type.forbidden) rules.insert(rule_name(rule.where));
    for (const Relation& rule : type.relations) rules.insert(rule_name(rule.where));
    for (const EventRule& rule : type.events) rules.insert(rule_name(rule.where));
    if (!type.children) continue;
    for (const ChildRule& rule : type.children->of) rules.insert(rule_name(rule.where));
  }
  for (const MetricRule& rule : profile.metrics) rules.insert(rule_name(rule.where));
  for (const Reconciliation& rule : profile.reconciliations) rules.insert(rule_name(rule.where));
}

/// The self-test at work.
class Run final {
 public:
  Run() {
    for (const OperatorRow& row : all_operators()) test_.operators.push_back({&row, {}, {}, {}});
    for (const VariantRow& row : all_variants()) test_.variants.push_back({&row, 0, {}});
    for (const CheckRow& row : all_checks()) test_.checks[row.id] = 0;
  }

  void add(const Good& good) {
    GoodScore& score = test_.goods.emplace_back();
    score.name = good.name();
    score.spans = static_cast<int64_t>(good.spans().size());
    score.modes = good.modes();
    for (const Profile& profile : good.profiles()) {
      score.profiles.push_back(profile.name);
      add_rules(profile, test_.rules);
    }
    for (const Mode mode : kModes) {
      if (!contains(good.modes(), mode)) continue;
      const Evidence shown = good.shown(mode);
      for (const std::string& alarm : alarms_in(judged(shown, good), Level::kMay)) {
        score.alarms.push_back(to_string(mode) + (": " + alarm));
      }
      dress(good, mode, shown);
      damage(good, mode, shown, score);
    }
  }

  SelfTest take() {
    // A location is `file:line`, as the rules have it.
    std::erase_if(test_.killing_rules,
                  [&](const std::string& rule) { return !test_.rules.contains(rule); });
    return std::move(test_);
  }

 private:
  void dress(const Good& good, Mode mode, const Evidence& shown) {
    for (VariantScore& variant : test_.variants) {
      if (!contains(variant.row->seen, mode)) continue;
      Evidence evidence = shown;
      if (!variant.row->dress(good, evidence)) continue;
      ++variant.tried;
      for (const std::string& alarm : alarms_in(judged(evidence, good), variant.row->quiet)) {
        variant.alarms.push_back(good.name() + ", " + to_string(mode) + ": " + alarm);
      }
    }
  }

  void damage(const Good& good, Mode mode, const Evidence& shown, GoodScore& of_good) {
    for (OperatorScore& score : test_.operators) {
      if (!contains(score.row->seen, mode)) continue;
      const bool decidable = contains(score.row->decided, mode);
      for (const Mutant& mutant : chosen(score.row->mutants(good), good.depth())) {
        Evidence evidence = shown;
        mutant.damage(evidence);
        const bool found = is_found(judged(evidence, good), mutant.level, decidable, score);
        ModeScore& count = score.modes[static_cast<size_t>(mode)];
        ++(decidable ? count.decidable : count.others);
        (decidable ? count.killed : count.found) += found;
        of_good.decidable += decidable;
        of_good.killed += decidable && found;
        if (decidable && !found) {
          score.survivors.push_back(good.name() + ", " + to_string(mode) + ": " + mutant.place);
        }
      }
    }
  }

  bool is_found(const Report& report, Level level, bool decidable, OperatorScore& score) {
    bool found = false;
    for (const CheckOutcome& check : report.checks) {
      for (const Finding& finding : check.findings) {
        if (finding.rule.file.empty()) continue;
        test_.killing_rules.insert(rule_name(to_string(finding.rule)));
      }
      if (!objects(check, level)) continue;
      found = true;
      ++test_.checks[check.id];
      if (decidable) ++score.killers[check.id];
    }
    return found;
  }

  SelfTest test_;
};

}  // namespace

int64_t SelfTest::tried() const {
  int64_t tried = 0;
  for (const Mode mode : kModes) tried += sum(mode).decidable + sum(mode).others;
  return tried;
}

ModeScore SelfTest::sum(Mode mode) const {
  ModeScore sum;
  for (const OperatorScore& score : operators) {
    const ModeScore& one = score.modes[static_cast<size_t>(mode)];
    sum.decidable += one.decidable;
    sum.killed += one.killed;
    sum.others += one.others;
    sum.found += one.found;
  }
  return sum;
}

bool SelfTest::good() const {
  const auto has_alarms = [](const auto& score) { return !score.alarms.empty(); };
  const auto survived = [](const OperatorScore& score) { return !score.survivors.empty(); };
  return !goods.empty() && std::none_of(goods.begin(), goods.end(), has_alarms) &&
         std::none_of(variants.begin(), variants.end(), has_alarms) &&
         std::none_of(operators.begin(), operators.end(), survived);
}

SelfTest self_test(const std::vector<std::unique_ptr<Good>>& goods,
                   const std::function<void(const std::string&)>& progress) {
  Run run;
  for (const auto& good : goods) {
    if (progress) progress(good->name());
    run.add(*good);
  }
  return run.take();
}

}  // namespace touchstone::conformance::mutate
