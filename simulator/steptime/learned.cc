#include "simulator/steptime/learned.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "base/portable_math.h"
#include "base/text.h"

namespace touchstone::simulator {
namespace {

// Above it a time may not fit into 64 bits.
constexpr double kLongest = 9e18;

class LearnedModel final : public StepTimeModel {
 public:
  explicit LearnedModel(const LearnedStepTime& learned) : learned_(learned) {
    BASE_CHECK(learned.shape != nullptr);
  }

  int64_t duration_ns(const StepFeatures& features, StepNoise& noise) const override {
    const StepParts parts = learned_.shape->parts_ns(features);
    double ns =
        learned_.anchor.decode * parts.decode_ns + learned_.anchor.prefill * parts.prefill_ns;
    if (learned_.noise.sigma > 0) ns *= factor(noise);
    return ns < kLongest ? std::max<int64_t>(1, std::llround(ns)) : INT64_MAX;
  }
  Validity validity() const override { return learned_.shape->validity(); }
  FrontendLatency frontend() const override { return learned_.frontend; }
  std::string describe() const override {
    std::string text = "learned: " + learned_.shape->describe();
    if (learned_.anchor.fitted) {
      text += "; this server process: decode x " + format_fixed(learned_.anchor.decode, 3) +
              ", prefill x " + format_fixed(learned_.anchor.prefill, 3);
    }
    if (learned_.noise.sigma > 0) {
      text += "; steps vary by " + format_fixed(100 * learned_.noise.sigma, 1) + " %";
    }
    return text;
  }

 private:
  double factor(StepNoise& noise) const {
    const double correlation = learned_.noise.correlation;
    const double fresh = noise.random.normal();
    noise.level =
        noise.level ? correlation * *noise.level + std::sqrt(1 - correlation * correlation) * fresh
                    : fresh;
    const double sigma = learned_.noise.sigma;
    return portable_exp(sigma * *noise.level - sigma * sigma / 2);
  }

  const LearnedStepTime learned_;
};

}  // namespace

std::unique_ptr<StepTimeModel> make_learned_step_time(const LearnedStepTime& learned) {
  return std::make_unique<LearnedModel>(learned);
}

}  // namespace touchstone::simulator
