// What requests cost by the time in which they kept the accelerator busy: each step's duration is
// divided among its requests by the tokens that it computed for them, whole nanoseconds that add up
// to the step's. Idle time belongs to nobody. Pure; thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string_view>

#include "records/step_log.h"
#include "telemetry/cost/price_table.h"

namespace touchstone::telemetry {

/// Nanoseconds by the scheduler's request id (RequestRecord::id).
std::map<uint64_t, int64_t> busy_time(const records::StepLog& log);

/// "2.5" → 2.50 USD. Nullopt: not a plain decimal number from 0 to 1,000 with at most 8 decimals.
std::optional<Cost> parse_usd(std::string_view text);

/// `hour`: what an hour of all accelerators together costs. Rounded once, half to even.
/// REQUIRES: neither is negative.
Cost cost_of_time(const Cost& hour, int64_t ns);

}  // namespace touchstone::telemetry
