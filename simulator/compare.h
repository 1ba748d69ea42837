// A measured run of the reference engine beside its simulation: once with the recorded step times,
// which must give the same schedule step for step (INV-9), once with step times fitted from them.
// Thread-compatible.
#pragma once

#include <string>

#include "base/result.h"
#include "result/result_model.h"

namespace touchstone::simulator {

/// Reads steps.jsonl and records.jsonl of `run_folder` and appends to `report`: the table "measured
/// beside simulated", the check `simulation.schedule_parity`, charts, and notes on the fitted
/// model. A schedule that differs is a finding, not an error; a model that cannot be fitted is a
/// note. ERRORS: kNotFound, kInvalidArgument when the files are missing or do not fit together.
Status add_comparison(const std::string& run_folder, result::Report& report);

}  // namespace touchstone::simulator
