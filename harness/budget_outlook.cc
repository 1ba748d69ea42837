#include "harness/budget_outlook.h"

#include <algorithm>

#include "base/text.h"

namespace touchstone::harness {
namespace {

std::string name_of(const conformance::Budget& budget) {
  return budget.phase + " p" + format_double(budget.quantile * 100);
}

}  // namespace

std::string budget_text(const conformance::Budget& budget) {
  return name_of(budget) + " at most " + format_double(budget.threshold_s) + " s: can pass with " +
         format_count(conformance::samples_needed(budget)) + " samples or more, can fail with " +
         format_count(conformance::samples_to_fail(budget));
}

std::optional<std::string> budget_warning(const conformance::Budget& budget, int64_t samples_most) {
  const int64_t to_pass = conformance::samples_needed(budget);
  const int64_t to_fail = conformance::samples_to_fail(budget);
  if (samples_most >= to_pass && samples_most >= to_fail) return std::nullopt;
  const std::string given = "the load gives at most " + format_count(samples_most) + " samples, ";
  const std::string name = "the budget of " + name_of(budget);
  if (samples_most < to_pass && samples_most < to_fail) {
    return name + " will be undecided: " + given + "it needs " +
           format_count(std::min(to_pass, to_fail));
  }
  if (samples_most < to_pass) {
    return name + " cannot pass: " + given + "it needs " + format_count(to_pass);
  }
  return name + " cannot fail: " + given + "it needs " + format_count(to_fail);
}

}  // namespace touchstone::harness
