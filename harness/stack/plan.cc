#include "harness/stack/plan.h"

#include <filesystem>

#include "base/text.h"
#include "harness/stack/wires.h"

namespace touchstone::harness {
namespace {

std::string base_name(const std::string& path) {
  return std::filesystem::path(path).filename().string();
}

std::string text_of(const LoadPlan& load) {
  return base_name(load.workload) + " to " + load.subject + ", " +
         (load.model.empty() ? "the model it serves" : "model " + load.model) + ", seed " +
         std::to_string(load.seed);
}

}  // namespace

std::vector<PlanStep> plan_of(const Suite& suite, const std::vector<Fault>& faults) {
  std::vector<PlanStep> plan;
  const std::vector<WirePlan> wires = wires_of(suite, faults);
  for (const WirePlan& wire : wires) {
    plan.push_back({Stage::kStart, wire.name(),
                    "put a wire between " + wire.from + " and " + wire.to +
                        (wire.gate ? ", with an OTLP receiver in it" : "")});
  }
  if (suite.backend) plan.push_back({Stage::kStart, kBackend, "start the backend"});
  plan.push_back(
      {Stage::kStart, kCollector, "start the Collector with " + base_name(suite.collector.config)});
  for (const SubjectPlan& subject : suite.subjects) {
    plan.push_back({Stage::kStart, subject.name,
                    subject.launch
                        ? "start " + subject.name + ": " + join(subject.launch->command, " ")
                        : "attach to " + subject.name + " at " + subject.attach->url});
  }
  for (const SubjectPlan& subject : suite.subjects) {
    plan.push_back({Stage::kObserve, subject.name, "ask " + subject.name + " for its metrics"});
  }
  std::vector<std::string> sent;
  for (const LoadPlan& load : suite.loads) sent.push_back(text_of(load));
  std::string text = "send " + join(sent, "; ");
  for (const Fault& fault : faults) text += "; fault " + fault.text;
  plan.push_back({Stage::kStart, "load", text});
  for (const SubjectPlan& subject : suite.subjects) {
    plan.push_back({Stage::kSettle, subject.name,
                    "ask " + subject.name + " for its metrics once nothing is in flight"});
  }
  for (const SubjectPlan& subject : suite.subjects) {
    if (subject.attach) continue;
    plan.push_back({Stage::kStop, subject.name, "stop " + subject.name + ", which flushes"});
  }
  plan.push_back({Stage::kStop, kCollector, "stop the Collector once every span has left it"});
  if (suite.backend) plan.push_back({Stage::kStop, kBackend, "stop the backend"});
  for (const WirePlan& wire : wires) {
    plan.push_back({Stage::kStop, wire.name(), "look at what the wire did"});
  }
  return plan;
}

}  // namespace touchstone::harness
