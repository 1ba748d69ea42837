#include "harness/stack/run.h"

#include <map>
#include <memory>

#include "base/files.h"
#include "harness/process/program.h"
#include "harness/stack/context.h"
#include "harness/stack/parts.h"
#include "harness/stack/plan.h"

namespace touchstone::harness {

Status check_programs(const Suite& suite) {
  for (const SubjectPlan& subject : suite.subjects) {
    if (!subject.launch) continue;
    const std::string& program = subject.launch->command.front();
    if (program.starts_with("${") || find_program(program, suite.folder)) continue;
    return not_found(subject.name + ": cannot start " + program + ": no such program",
                     "is it installed, executable, and on PATH?");
  }
  return {};
}

Status run_suite(const Suite& suite, const RunOptions& options, records::RunFolderWriter& folder,
                 const Supervision& supervision) {
  RETURN_IF_ERROR(make_directories(folder.file(records::run_files::kLogs)));
  RunContext run{.suite = suite, .options = options, .folder = folder, .supervision = supervision};
  // In the order of starting; on the way out the last one goes first.
  std::vector<std::unique_ptr<Part>> owned;
  std::map<std::string, Part*> parts;
  const auto add = [&](std::unique_ptr<Part> part) {
    parts[part->name()] = part.get();
    owned.push_back(std::move(part));
    return owned.back().get();
  };
  if (suite.count_hops) {
    auto hops = HopLog::open(folder.file(records::run_files::kHops));
    if (!hops) return std::move(hops).error();
    run.hops = std::move(*hops);
  }
  std::vector<Part*> targets;
  for (const WirePlan& wire : wires_of(suite, options.faults)) {
    targets.push_back(add(make_wire_part(run, wire)));
  }
  if (suite.backend) targets.push_back(add(make_backend_part(run)));
  targets.push_back(add(make_collector_part(run)));
  for (const SubjectPlan& subject : suite.subjects) {
    targets.push_back(add(make_subject_part(run, subject)));
  }
  add(make_load_part(run, targets));
  Status status;
  for (const PlanStep& step : plan_of(suite, options.faults)) {
    run.stopping = step.stage == Stage::kStop;
    status = parts.at(step.part)->enter(step.stage);
    if (!status) break;
  }
  while (!owned.empty()) owned.pop_back();
  if (run.hops != nullptr) {
    Status closed = run.hops->close();
    if (status) status = std::move(closed);
  }
  return status;
}

}  // namespace touchstone::harness
