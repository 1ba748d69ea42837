// Where the time of one request went, as intervals that follow one another without gap or overlap
// from its arrival to its end. Pure; thread-safe.
#pragma once

#include <cstdint>
#include <vector>

#include "records/request_record.h"

namespace touchstone::telemetry {

struct Phase {
  enum class Kind {
    kFrontend,   ///< not the engine's: before it took the request over, and after the last token
    kQueue,      ///< until a plan has it for the first time
    kPrefill,    ///< one chunk of its prompt, and the wait for the next one's plan
    kDecode,     ///< token by token
    kPreempted,  ///< without blocks
  };
  Kind kind = Kind::kFrontend;
  int64_t start_ns = 0;  ///< of the record's monotonic clock
  int64_t end_ns = 0;
  int64_t execution_end_ns = 0;  ///< prefill and decode: the steps ran from the start to here
  int64_t tokens = 0;            ///< prefill: computed in the chunk
  bool executes() const { return kind == Kind::kPrefill || kind == Kind::kDecode; }
};

/// The first is the frontend's, and so is the last of what the engine took over. What was not
/// reached is not there; frontend, queue and prefill are there even where they took no time. A
/// chunk that ran while the one before it still did starts with that one's end: one device.
std::vector<Phase> phases_of(const records::RequestRecord& record);

}  // namespace touchstone::telemetry
