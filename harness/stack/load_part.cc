#include <algorithm>
#include <deque>
#include <utility>

#include "base/text.h"
#include "harness/load/generator.h"
#include "harness/scrape.h"
#include "harness/stack/parts.h"
#include "workload/workload.h"

namespace touchstone::harness {
namespace {

/// The faults of a run on its parts. What lasts is undone when this goes, whatever the reason.
class FaultPlan final {
 public:
  FaultPlan(RunContext& run, const std::vector<Part*>& parts) : run_(run) {
    for (const Fault& fault : run.options.faults) {
      const auto part = std::find_if(parts.begin(), parts.end(), [&](const Part* candidate) {
        return candidate->name() == fault.target;
      });
      const bool found = part != parts.end();
      planned_.push_back({&fault, found ? *part : nullptr, State::kWaiting});
      run.folder.manifest().faults.push_back({fault.text, false, "the load ended before its time"});
    }
  }
  ~FaultPlan() { undo_all(); }
  FaultPlan(const FaultPlan&) = delete;
  FaultPlan& operator=(const FaultPlan&) = delete;

  /// By time. This outlives them.
  std::vector<TimedAction> actions() {
    std::vector<TimedAction> actions;
    for (size_t i = 0; i < planned_.size(); ++i) {
      const Fault& fault = *planned_[i].fault;
      actions.push_back({fault.at_ns, [this, i] { apply(i); }});
      if (fault.lasts_ns) {
        actions.push_back({fault.at_ns + *fault.lasts_ns, [this, i] { undo(planned_[i]); }});
      }
    }
    std::stable_sort(actions.begin(), actions.end(),
                     [](const auto& a, const auto& b) { return a.at_ns < b.at_ns; });
    return actions;
  }

  void undo_all() {
    for (Planned& one : planned_) undo(one);
  }

 private:
  enum class State { kWaiting, kLasting, kOver };
  struct Planned {
    const Fault* fault;
    Part* part;
    State state;
  };

  void apply(size_t i) {
    Planned& one = planned_[i];
    records::RunFault& written = run_.folder.manifest().faults[i];
    run_.say("fault: " + one.fault->text);
    const Status applied = one.part != nullptr ? one.fault->kind->apply(*one.part, *one.fault)
                                               : Status(unavailable("there is no such part"));
    one.state = applied && one.fault->kind->undo != nullptr ? State::kLasting : State::kOver;
    written.applied = applied.has_value();
    written.problem = applied ? "" : applied.error().message;
    run_.note(applied ? "fault injected: " + one.fault->text
                      : "fault not injected: " + one.fault->text + ": " + written.problem);
  }

  void undo(Planned& one) {
    if (std::exchange(one.state, State::kOver) != State::kLasting) return;
    const Status undone = one.fault->kind->undo(*one.part);
    if (!undone) run_.note("fault not undone: " + one.fault->text + ": " + undone.error().message);
  }

  RunContext& run_;
  std::vector<Planned> planned_;
};

class LoadPart final : public Part {
 public:
  LoadPart(RunContext& run, std::vector<Part*> parts) : run_(run), parts_(std::move(parts)) {}

  const std::string& name() const override { return name_; }
  std::string title() const override { return "the load"; }

  Status enter(Stage stage) override { return stage == Stage::kStart ? drive() : Status(); }

 private:
  Result<LoadTarget> target_of(const LoadPlan& plan) {
    const auto& subjects = run_.suite.subjects;
    const auto subject = std::find_if(subjects.begin(), subjects.end(), [&](const auto& known) {
      return known.name == plan.subject;
    });
    LoadTarget target;
    target.name = file_name_of(*subject, run_.suite);
    target.url = run_.subject_urls.at(plan.subject);
    const std::string wire = std::string(kClient) + "/" + plan.subject;
    if (run_.wires.contains(wire)) {
      target.url = "http://127.0.0.1:" + std::to_string(run_.port_to(wire, 0));
    }
    target.access = run_.access_of(*subject);
    target.model = plan.model;
    if (plan.model.empty()) {
      auto model = served_model(target.url, target.access);
      if (!model) return std::move(model).error().with_context("load");
      target.model = std::move(model->id);
    }
    auto workload = workload::read_workload(plan.workload);
    if (!workload) return std::move(workload).error();
    target.workload = &workloads_.emplace_back(std::move(*workload));
    target.seed = run_.options.seed.value_or(plan.seed);
    target.sampled_per_million = plan.sampled_per_million;
    target.timeout_ns = plan.timeout_ns;
    target.clients = plan.clients;
    target.manners = plan.manners;
    target.samples = {plan.samples.begin(), plan.samples.end()};
    return target;
  }

  void note_if_dead(Part& part) {
    ChildProcess* const child = part.process();
    const auto status = child != nullptr ? child->exited() : std::nullopt;
    if (status) run_.note_death(part.name(), part.title(), *status);
  }

  LoadOptions options(FaultPlan& faults) {
    LoadOptions load;
    load.ledger_path = run_.folder.file(records::run_files::kLedger);
    load.actions = faults.actions();
    if (run_.supervision.signals != nullptr) {
      load.watches.push_back(
          {run_.supervision.signals->fd(), [this] { return run_.check_signals(); }});
    }
    for (Part* part : parts_) {
      if (part->process() == nullptr || part->process()->exit_fd() < 0) continue;
      load.watches.push_back({part->process()->exit_fd(), [this, part]() -> Status {
                                note_if_dead(*part);
                                return {};
                              }});
    }
    load.on_progress = [this](const LoadProgress& now) {
      run_.say("load: " + std::to_string(now.sent) + " of " + std::to_string(now.total) +
               " sent, " + std::to_string(now.done) + " answered");
    };
    return load;
  }

  Status drive() {
    std::vector<LoadTarget> targets;
    size_t requests = 0;
    int64_t last_ns = 0;
    for (const LoadPlan& plan : run_.suite.loads) {
      auto target = target_of(plan);
      if (!target) return std::move(target).error();
      const auto& sent = target->workload->requests;
      requests += sent.size();
      if (!sent.empty()) last_ns = std::max(last_ns, sent.back().arrival_ns);
      targets.push_back(std::move(*target));
    }
    run_.say("driving " + std::to_string(requests) + " requests over " + format_duration(last_ns));
    run_.load_start_ns = run_.supervision.clock.monotonic_ns();
    FaultPlan faults(run_, parts_);
    const auto done = run_load(targets, options(faults), run_.supervision.clock);
    faults.undo_all();
    if (!done) return done.error();
    run_.folder.manifest().load_start_unix_ns = done->start_unix_ns;
    for (Part* part : parts_) note_if_dead(*part);
    account(*done);
    return {};
  }

  /// What the answers owe, and the completions that are shown.
  void account(const LoadOutcome& done) {
    for (size_t i = 0; i < done.entries.size(); ++i) {
      const records::LedgerEntry& entry = done.entries[i];
      if (entry.outcome == records::ClientOutcome::kCompleted && entry.sampled) {
        run_.spans_owed += static_cast<double>(entry.choices);
      }
      if (entry.text.empty()) continue;
      const workload::Request& request = *done.sent[i].request;
      const std::string prompt =
          request.messages.empty() ? request.prompt.value_or("") : request.messages.back().content;
      run_.folder.manifest().samples.push_back(
          {entry.name + " " + entry.endpoint, prompt, entry.text});
    }
  }

  RunContext& run_;
  const std::vector<Part*> parts_;
  const std::string name_ = "load";
  std::deque<workload::Workload> workloads_;  ///< that targets point into
};

}  // namespace

std::unique_ptr<Part> make_load_part(RunContext& run, const std::vector<Part*>& targets) {
  return std::make_unique<LoadPart>(run, targets);
}

}  // namespace touchstone::harness
