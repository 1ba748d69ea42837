#include "simulator/steptime/model.h"

namespace touchstone::simulator {
namespace {

void add_request(StepFeatures& features, int64_t computed, int64_t scheduled) {
  if (scheduled == 1) {
    features.decode_requests += 1;
    features.context_tokens += computed + 1;
  } else {
    features.prefill_tokens += scheduled;
    // Token k of the chunk (from 1) reads computed + k others; the product is always even.
    features.prefill_attention += scheduled * (2 * computed + scheduled + 1) / 2;
  }
}

}  // namespace

StepFeatures features_of(const scheduler::StepPlan& plan) {
  StepFeatures features{.step = plan.step};
  for (const scheduler::ScheduledRequest& r : plan.scheduled) {
    add_request(features, r.num_computed_tokens, r.num_scheduled_tokens);
  }
  return features;
}

StepFeatures features_of(const records::StepRecord& step) {
  StepFeatures features{.step = step.step};
  for (const records::StepEntry& r : step.requests) {
    add_request(features, r.computed, r.scheduled);
  }
  return features;
}

}  // namespace touchstone::simulator
