#include "simulator/steptime/model.h"

#include <algorithm>
#include <array>

namespace touchstone::simulator {
namespace {

constexpr std::array<int64_t StepFeatures::*, 6> kWork = {
    &StepFeatures::prefill_requests, &StepFeatures::prefill_tokens,
    &StepFeatures::decode_requests,  &StepFeatures::sampled_requests,
    &StepFeatures::context_tokens,   &StepFeatures::prefill_attention};

void add_request(StepFeatures& features, int64_t computed, int64_t scheduled, bool samples) {
  if (scheduled == 1) {
    features.decode_requests += 1;
    features.context_tokens += computed + 1;
    features.longest_context = std::max(features.longest_context, computed + 1);
  } else {
    features.prefill_requests += 1;
    features.prefill_tokens += scheduled;
    // Token k of the chunk (from 1) reads computed + k others; the product is always even.
    features.prefill_attention += scheduled * (2 * computed + scheduled + 1) / 2;
  }
  features.sampled_requests += samples ? 1 : 0;
}

}  // namespace

StepFeatures features_of(const scheduler::StepPlan& plan) {
  StepFeatures features{.step = plan.step};
  for (const scheduler::ScheduledRequest& r : plan.scheduled) {
    add_request(features, r.num_computed_tokens, r.num_scheduled_tokens, r.samples_token);
  }
  return features;
}

StepFeatures features_of(const records::StepRecord& step) {
  StepFeatures features{.step = step.step};
  for (const records::StepEntry& r : step.requests) {
    add_request(features, r.computed, r.scheduled, r.samples);
  }
  return features;
}

bool Validity::contains(const StepFeatures& f) const {
  if (f.step < low.step || f.step > high.step) return false;
  return std::all_of(kWork.begin(), kWork.end(), [&](int64_t StepFeatures::*member) {
    return low.*member <= f.*member && f.*member <= high.*member;
  });
}

void Validity::include(const StepFeatures& f) {
  for (int64_t StepFeatures::*member : kWork) {
    low.*member = std::min(low.*member, f.*member);
    high.*member = std::max(high.*member, f.*member);
  }
}

}  // namespace touchstone::simulator
