// A model from the counters of a server alone (metrics before and after some load): no request, no
// span. Coarse: counters give means over the whole time, so one folder tells two costs, and what a
// request of a batch costs needs two loads. Thread-compatible.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "simulator/steptime/model_file.h"

namespace touchstone::simulator {

/// Whether the folder has metrics_before.txt, metrics.txt and server.json, and nothing that says
/// more.
bool has_counters_alone(const std::string& folder);

/// ERRORS: those of the files; kInvalidArgument for a page without vLLM's histograms of steps,
/// prefill and decode, and for counters that did not rise.
Result<ModelFile> model_of_counters(const std::vector<std::string>& folders);

}  // namespace touchstone::simulator
