// What of a completion is paid for: its tokens, and its prompt with the first of the prompt's
// choices alone, as the usage in answers counts it. Pure; thread-safe.
#pragma once

#include <algorithm>

#include "records/request_record.h"
#include "telemetry/cost/price_table.h"

namespace touchstone::telemetry {

inline Usage billed_usage(const records::RequestRecord& record) {
  if (record.choice % std::max<int64_t>(record.n, 1) != 0) {
    return {.completion_tokens = record.completion_tokens};
  }
  return {record.prompt_tokens, record.cached_tokens, record.completion_tokens};
}

}  // namespace touchstone::telemetry
