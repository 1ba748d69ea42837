#include "simulator/steptime/linear.h"

#include <algorithm>

#include "base/check.h"
#include "base/text.h"

namespace touchstone::simulator {
namespace {

class LinearModel final : public StepTimeModel {
 public:
  explicit LinearModel(const LinearStepTime& t) : times_(t) {
    BASE_CHECK(std::min({t.base_ns, t.per_prefill_token_ns, t.per_decode_ns}) >= 0);
    BASE_CHECK(std::max({t.base_ns, t.per_prefill_token_ns, t.per_decode_ns}) > 0);
  }
  int64_t duration_ns(const StepFeatures& f, StepNoise&) const override {
    int64_t prefill_ns = 0;
    int64_t decode_ns = 0;
    int64_t sum_ns = 0;
    const bool overflows =
        __builtin_mul_overflow(times_.per_prefill_token_ns, f.prefill_tokens, &prefill_ns) ||
        __builtin_mul_overflow(times_.per_decode_ns, f.decode_requests, &decode_ns) ||
        __builtin_add_overflow(times_.base_ns, prefill_ns, &sum_ns) ||
        __builtin_add_overflow(sum_ns, decode_ns, &sum_ns);
    return overflows ? INT64_MAX : std::max<int64_t>(1, sum_ns);
  }
  Validity validity() const override { return {}; }
  std::string describe() const override {
    return "linear: " + format_duration(times_.base_ns) + " + " +
           format_duration(times_.per_prefill_token_ns) + " per prefill token + " +
           format_duration(times_.per_decode_ns) + " per decode request";
  }

 private:
  const LinearStepTime times_;
};

}  // namespace

std::unique_ptr<StepTimeModel> make_linear_step_time(const LinearStepTime& times) {
  return std::make_unique<LinearModel>(times);
}

}  // namespace touchstone::simulator
