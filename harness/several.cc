#include "harness/several.h"

#include <poll.h>
#include <signal.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/files.h"

namespace touchstone::harness {
namespace {

/// Of a child that is ended early: it takes its own stack down.
constexpr int64_t kStopWithinNs = 60 * kNsPerSecond;
/// Where the kernel has no descriptor that says that a child ended.
constexpr int kPollMs = 200;

struct Running {
  size_t index;
  std::unique_ptr<ChildProcess> child;
};

std::string log_of(const SuiteRun& run) { return run.output + "/log"; }

std::string summary_of(const SuiteRun& run) {
  const auto text = read_file(run.output + "/report.json");
  const auto report = nlohmann::json::parse(text ? *text : "", nullptr, false);
  if (report.is_object() && report.contains("summary") && report["summary"].is_string()) {
    return report["summary"].get<std::string>();
  }
  return last_lines(log_of(run), 1);
}

Result<std::unique_ptr<ChildProcess>> start(const SuiteRun& run, const Supervision& supervision) {
  RETURN_IF_ERROR(make_directories(run.output));
  return ChildProcess::spawn(
      {.name = run.name, .argv = run.argv, .environment = run.environment, .log_path = log_of(run)},
      supervision);
}

/// Until a child has ended or a signal came.
void wait_for_any(const std::vector<Running>& running, const Supervision& supervision) {
  std::vector<pollfd> waits;
  bool all_have = true;
  for (const Running& one : running) {
    all_have = all_have && one.child->exit_fd() >= 0;
    waits.push_back({one.child->exit_fd(), POLLIN, 0});
  }
  if (supervision.signals != nullptr) waits.push_back({supervision.signals->fd(), POLLIN, 0});
  ::poll(waits.data(), waits.size(), all_have ? -1 : kPollMs);
}

}  // namespace

Result<std::vector<SuiteEnd>> run_several(const std::vector<SuiteRun>& runs, size_t jobs,
                                          const std::function<void(const SuiteEnd&)>& on_end,
                                          const Supervision& supervision) {
  std::vector<SuiteEnd> ends(runs.size());
  std::vector<Running> running;
  Status problem;
  for (size_t next = 0; problem && (next < runs.size() || !running.empty());) {
    while (next < runs.size() && running.size() < std::max<size_t>(jobs, 1)) {
      auto child = start(runs[next], supervision);
      if (!child) {
        problem = std::move(child).error();
        break;
      }
      running.push_back({next++, std::move(*child)});
    }
    if (!problem) break;
    wait_for_any(running, supervision);
    if (supervision.signals != nullptr) problem = supervision.signals->check();
    std::erase_if(running, [&](const Running& one) {
      const auto status = one.child->exited();
      if (!status) return false;
      ends[one.index] = {runs[one.index].name, *status, summary_of(runs[one.index])};
      on_end(ends[one.index]);
      return true;
    });
  }
  if (problem) return ends;
  for (const Running& one : running) one.child->send_signal(SIGTERM);
  for (const Running& one : running) one.child->stop(kStopWithinNs);
  return problem.error();
}

int exit_code_of(const std::vector<SuiteEnd>& ends) {
  const auto any = [&](auto is) { return std::any_of(ends.begin(), ends.end(), is); };
  if (any([](const SuiteEnd& end) { return end.status.code == 1; })) return 1;
  return any([](const SuiteEnd& end) { return !end.status.good(); }) ? 3 : 0;
}

}  // namespace touchstone::harness
