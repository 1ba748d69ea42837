#include "simulator/steptime/recorded.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/text.h"

namespace touchstone::simulator {
namespace {

class RecordedStepTime final : public StepTimeModel {
 public:
  explicit RecordedStepTime(std::vector<int64_t> durations_ns)
      : durations_ns_(std::move(durations_ns)) {
    BASE_CHECK(!durations_ns_.empty());
    const int64_t count = std::ssize(durations_ns_);
    int64_t rest_ns = 0;
    for (const int64_t duration_ns : durations_ns_) {  // so that no sum can overflow
      mean_ns_ += duration_ns / count;
      rest_ns += duration_ns % count;
    }
    mean_ns_ += rest_ns / count;
  }
  int64_t duration_ns(const StepFeatures& features, StepNoise&) const override {
    const bool known = features.step < std::ssize(durations_ns_);
    return std::max<int64_t>(1,
                             known ? durations_ns_[static_cast<size_t>(features.step)] : mean_ns_);
  }
  Validity validity() const override {
    Validity recorded;
    recorded.high.step = std::ssize(durations_ns_) - 1;
    return recorded;
  }
  std::string describe() const override {
    return "recorded, " + format_count(std::ssize(durations_ns_)) + " steps, mean " +
           format_duration(mean_ns_);
  }

 private:
  const std::vector<int64_t> durations_ns_;
  int64_t mean_ns_ = 0;
};

}  // namespace

std::unique_ptr<StepTimeModel> make_recorded_step_time(std::vector<int64_t> durations_ns) {
  return std::make_unique<RecordedStepTime>(std::move(durations_ns));
}

}  // namespace touchstone::simulator
