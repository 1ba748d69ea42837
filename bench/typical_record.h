// A completed request as benchmarks of telemetry make many.
#pragma once

#include "records/request_record.h"
#include "records/trace_context.h"

namespace touchstone::bench {

inline records::RequestRecord typical_record() {
  records::RequestRecord record;
  record.request_id = "cmpl-bfca262b1f4bc3ce-0";
  record.endpoint = "/v1/completions";
  record.model = "tiny";
  record.trace =
      records::parse_traceparent("00-656abd72fb710734986e86cb0ab8ab67-73f778aaf6fa5db8-01");
  record.arrival_unix_ns = 1'795'254'032'748'998'144;
  record.arrival_ns = 5'000'000'000;
  record.queued_ns = 5'000'100'000;
  record.first_scheduled_ns = 5'000'153'830;
  record.first_token_ns = 5'087'234'258;
  record.last_token_ns = 5'191'159'963;
  record.finished_ns = 5'191'200'000;
  record.prompt_tokens = 1024;
  record.completion_tokens = 128;
  record.max_tokens = 128;
  record.temperature = 0.7;
  record.top_p = 1.0;
  record.block_size = 16;
  return record;
}

}  // namespace touchstone::bench
