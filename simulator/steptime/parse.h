// The table of step-time models: what stands there is what --steptime accepts.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "simulator/steptime/fitted.h"
#include "simulator/steptime/model.h"

namespace touchstone::simulator {

struct StepTimeRow {
  const char* name;
  const char* usage;  ///< for help and messages: "constant:20ms"
  /// `arguments`: the text after the colon. `samples`: the steps of a measured run, empty without
  /// one. ERRORS: kInvalidArgument.
  Result<std::unique_ptr<StepTimeModel>> (*make)(std::string_view arguments,
                                                 const std::vector<StepSample>& samples);
};

const std::vector<StepTimeRow>& step_time_models();
/// `text`: NAME or NAME:ARGUMENTS, or the path of a model file, PATH.json. ERRORS: kInvalidArgument
/// with the words that would do.
Result<std::unique_ptr<StepTimeModel>> parse_step_time(std::string_view text,
                                                       const std::vector<StepSample>& samples);

}  // namespace touchstone::simulator
