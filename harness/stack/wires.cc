#include "harness/stack/wires.h"

namespace touchstone::harness {

std::vector<WirePlan> possible_wires(const Suite& suite) {
  std::vector<WirePlan> wires;
  for (const SubjectPlan& subject : suite.subjects) {
    if (!subject.launch) continue;
    wires.push_back({.from = kClient, .to = subject.name, .otlp = false});
    wires.push_back({.from = subject.name, .to = kCollector, .otlp = true});
  }
  if (suite.backend) wires.push_back({.from = kCollector, .to = kBackend, .otlp = true});
  return wires;
}

std::vector<WirePlan> wires_of(const Suite& suite, const std::vector<Fault>& faults) {
  using Target = FaultKind::Target;
  std::vector<WirePlan> wires;
  for (WirePlan& wire : possible_wires(suite)) {
    bool wanted = suite.count_hops && wire.otlp;
    wire.gate = wanted;
    for (const Fault& fault : faults) {
      if (fault.target != wire.name()) continue;
      wanted = true;
      const bool answers = fault.kind->target == Target::kAnswers;
      wire.gate = wire.gate || fault.kind->target == Target::kOtlp || (answers && wire.otlp);
    }
    if (wanted) wires.push_back(std::move(wire));
  }
  return wires;
}

}  // namespace touchstone::harness
