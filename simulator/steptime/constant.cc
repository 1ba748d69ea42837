#include "simulator/steptime/constant.h"

#include "base/check.h"
#include "base/text.h"

namespace touchstone::simulator {
namespace {

class ConstantStepTime final : public StepTimeModel {
 public:
  explicit ConstantStepTime(int64_t duration_ns) : duration_ns_(duration_ns) {
    BASE_CHECK(duration_ns >= 1, duration_ns);
  }
  int64_t duration_ns(const StepFeatures&, StepNoise&) const override { return duration_ns_; }
  Validity validity() const override { return {}; }
  std::string describe() const override { return "constant " + format_duration(duration_ns_); }

 private:
  const int64_t duration_ns_;
};

}  // namespace

std::unique_ptr<StepTimeModel> make_constant_step_time(int64_t duration_ns) {
  return std::make_unique<ConstantStepTime>(duration_ns);
}

}  // namespace touchstone::simulator
