// What a run does, step by step, as data: the runner executes it, --dry-run prints it.
// Pure; thread-safe.
#pragma once

#include <string>
#include <vector>

#include "harness/faults/fault.h"
#include "harness/stack/part.h"
#include "harness/suites/suite.h"

namespace touchstone::harness {

struct PlanStep {
  Stage stage = Stage::kStart;
  std::string part;  ///< "collector", a subject's name, "load"
  std::string text;  ///< for people: "start the Collector with quickstart.yaml"
};

/// In the order of execution: what is started later may use what was started before, and is stopped
/// before it. `faults` are shown at the load, which they happen in.
std::vector<PlanStep> plan_of(const Suite& suite, const std::vector<Fault>& faults);

}  // namespace touchstone::harness
