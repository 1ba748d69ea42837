#include "harness/stack/context.h"

#include <algorithm>

#include "base/text.h"
#include "harness/scrape.h"
#include "http/url.h"

namespace touchstone::harness {
namespace {

/// Another program may take a port between our choosing it and the child's binding it.
constexpr int kStartAttempts = 3;

bool says_port_is_taken(const Error& error) {
  const std::string text = to_lower(error.message);
  return text.find("address already in use") != std::string::npos;
}

}  // namespace

uint16_t RunContext::port_to(const std::string& wire, uint16_t direct, size_t lane) const {
  const auto found = wires.find(wire);
  return found == wires.end() ? direct : found->second.ports.at(lane);
}

void RunContext::route_wires() const {
  for (const auto& [name, wire] : wires) wire.route();
}

bool RunContext::has_fault(FaultKind::Target target, const std::string& part) const {
  return std::any_of(options.faults.begin(), options.faults.end(), [&](const Fault& fault) {
    return fault.kind->target == target && fault.target == part;
  });
}

std::string RunContext::disk_of(const std::string& part) const {
  return folder.file(std::string(records::run_files::kDisks) + "/" + part);
}

void RunContext::say(const std::string& text) const {
  if (options.progress) options.progress(text);
}

void RunContext::miss(const std::string& path, const std::string& reason) {
  folder.manifest().miss(path.substr(folder.path().size() + 1), reason);
}

Status RunContext::check_signals() const {
  return supervision.signals != nullptr ? supervision.signals->check() : Status();
}

std::string RunContext::log_of(const std::string& part) const {
  return folder.file(std::string(records::run_files::kLogs) + "/" + part + ".log");
}

Status RunContext::with_free_ports(const std::function<Status()>& attempt) {
  for (int i = 1;; ++i) {
    Status started = attempt();
    if (started || i == kStartAttempts || !says_port_is_taken(started.error())) return started;
    say("a port was taken by another program: trying others");
  }
}

Status RunContext::choose_ports() {
  for (uint16_t* slot :
       {&places.health_port, &places.own_metrics_port, &places.subject_metrics_port}) {
    const auto taken = ports.take();
    if (!taken) return taken.error();
    *slot = *taken;
  }
  bool attached = false;
  for (const SubjectPlan& subject : suite.subjects) {
    if (subject.attach) {
      attached = true;
      auto base = server_base(subject.attach->url);
      if (!base) return std::move(base).error();
      subject_urls[subject.name] = std::move(*base);
      continue;
    }
    const auto taken = ports.take();
    if (!taken) return taken.error();
    subject_ports[subject.name] = *taken;
    subject_urls[subject.name] = "http://127.0.0.1:" + std::to_string(*taken);
  }
  const std::pair<uint16_t*, uint16_t> receivers[] = {
      {&places.otlp_grpc_port, suite.collector.otlp_grpc_port},
      {&places.otlp_http_port, suite.collector.otlp_http_port}};
  for (const auto& [slot, fixed] : receivers) {
    const auto taken = attached && fixed != 0 ? Result<uint16_t>(fixed) : ports.take();
    if (!taken) return taken.error();
    *slot = *taken;
  }
  places.spans_file = folder.file(records::run_files::kSpans);
  const auto first = http::parse_url(subject_urls.at(suite.subjects.front().name));
  if (!first) return first.error();
  places.subject_address = first->authority();
  route_wires();
  return {};
}

bool RunContext::died(const std::string& part) const {
  const auto& deaths = folder.manifest().deaths;
  return std::any_of(deaths.begin(), deaths.end(),
                     [&](const records::RunDeath& death) { return death.part == part; });
}

void RunContext::note_death(const std::string& part, const std::string& title,
                            const ExitStatus& status) {
  if (stopping || died(part)) return;
  const int64_t now = supervision.clock.monotonic_ns();
  const int64_t at_ns = now - load_start_ns.value_or(now);
  const std::string text =
      title + " ended with " + status.text() + " " +
      format_fixed(static_cast<double>(at_ns) / static_cast<double>(kNsPerSecond), 1) +
      " s into the load; the run went on without it";
  folder.manifest().deaths.push_back({part, status.text(), at_ns});
  note(text);
  say(text);
}

}  // namespace touchstone::harness
