#include "simulator/frontend.h"

#include <algorithm>
#include <cmath>

namespace touchstone::simulator {
int64_t frontend_in_ns(const FrontendLatency& latency, int64_t prompt_tokens) {
  return std::llround(latency.in_ns +
                      latency.in_ns_per_prompt_token * static_cast<double>(prompt_tokens));
}

int64_t frontend_out_ns(const FrontendLatency& latency, int64_t streams) {
  return std::llround(latency.out_ns + latency.out_ns_per_stream * static_cast<double>(streams));
}

int64_t frontend_streams(const scheduler::StepPlan& plan) {
  return std::count_if(plan.scheduled.begin(), plan.scheduled.end(),
                       [](const auto& r) { return r.samples_token; });
}

FrontendObserver::FrontendObserver(std::span<const ReplicaOptions> replicas, Observer& next)
    : ForwardingObserver(next) {
  for (const ReplicaOptions& replica : replicas) {
    servers_.push_back({.latency = replica.model.frontend()});
  }
}

void FrontendObserver::on_step(const StepView& step) {
  Server& server = servers_[static_cast<size_t>(step.replica)];
  server.step_out_ns = frontend_out_ns(server.latency, frontend_streams(step.plan));
  if (server.latency.out_ns_per_stream > 0) {
    for (const scheduler::ScheduledRequest& r : step.plan.scheduled) {
      // Its first token: the step computes the end of its prompt.
      if (r.samples_token && r.num_computed_tokens < r.num_prompt_tokens) {
        server.first_out_ns.try_emplace(r.id, server.step_out_ns);
      }
    }
  }
  ForwardingObserver::on_step(step);
}

void FrontendObserver::on_request(int32_t replica, const records::RequestRecord& request) {
  Server& server = servers_[static_cast<size_t>(replica)];
  records::RequestRecord seen = request;
  const auto first = server.first_out_ns.find(request.id);
  const bool has_first = first != server.first_out_ns.end();
  if (seen.first_token_ns) {
    *seen.first_token_ns += has_first ? first->second : server.step_out_ns;
  }
  if (has_first) server.first_out_ns.erase(first);
  if (seen.last_token_ns) {
    *seen.last_token_ns = std::max(*seen.first_token_ns, *seen.last_token_ns + server.step_out_ns);
  }
  seen.finished_ns += server.step_out_ns;
  ForwardingObserver::on_request(replica, seen);
}

}  // namespace touchstone::simulator
