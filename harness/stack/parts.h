// The parts there are; each stands in the file of its name.
#pragma once

#include <memory>
#include <vector>

#include "harness/stack/context.h"
#include "harness/stack/part.h"

namespace touchstone::harness {

/// The real Collector, or the embedded receiver when the options name none. The context and the
/// suite outlive every part.
std::unique_ptr<Part> make_collector_part(RunContext& run);
/// A server that is launched, or one that runs already and is attached to.
std::unique_ptr<Part> make_subject_part(RunContext& run, const SubjectPlan& plan);
/// All loads at once, and the faults; it is over when kStart returns.
std::unique_ptr<Part> make_load_part(RunContext& run, const std::vector<Part*>& targets);

}  // namespace touchstone::harness
