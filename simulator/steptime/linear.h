// base + per_prefill_token x prefill tokens + per_decode x decode requests.
#pragma once

#include <memory>

#include "simulator/steptime/model.h"

namespace touchstone::simulator {

struct LinearStepTime {
  int64_t base_ns = 0;
  int64_t per_prefill_token_ns = 0;
  int64_t per_decode_ns = 0;
};

/// REQUIRES: nothing is negative, and something is positive.
std::unique_ptr<StepTimeModel> make_linear_step_time(const LinearStepTime& times);

}  // namespace touchstone::simulator
