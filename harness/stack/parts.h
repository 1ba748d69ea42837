// The parts there are; each stands in the file of its name.
#pragma once

#include <memory>
#include <vector>

#include "harness/stack/context.h"
#include "harness/stack/part.h"
#include "harness/stack/wires.h"

namespace touchstone::harness {

/// The real Collector, or the embedded receiver when the options name none. The context and the
/// suite outlive every part.
std::unique_ptr<Part> make_collector_part(RunContext& run);
/// A server that is launched, or one that runs already and is attached to.
std::unique_ptr<Part> make_subject_part(RunContext& run, const SubjectPlan& plan);
/// Where the Collector exports to. REQUIRES: the suite has one.
std::unique_ptr<Part> make_backend_part(RunContext& run);
/// What stands between two others; started before either.
std::unique_ptr<Part> make_wire_part(RunContext& run, const WirePlan& plan);
/// All loads at once, and the faults; it is over when kStart returns.
std::unique_ptr<Part> make_load_part(RunContext& run, const std::vector<Part*>& targets);

}  // namespace touchstone::harness
