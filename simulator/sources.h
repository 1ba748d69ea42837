// Where simulated requests come from: a workload, a generator, the records of a measured run.
// Thread-compatible. Each source outlives nothing it was given except where it says so.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/result.h"
#include "records/request_record.h"
#include "reference_engine/scheduler/config.h"
#include "reference_engine/scheduler/types.h"
#include "simulator/request.h"
#include "workload/generate.h"
#include "workload/workload.h"

namespace touchstone::simulator {

/// What a workload request becomes: one simulated request for each of its n choices, or none when
/// the server would refuse it. Block hashes: of the token ids, or of prefix ids, else unshared;
/// blocks after the known ones are the request's own.
/// ERRORS: kInvalidArgument when its prompt or output length is not known.
Result<std::vector<SimulatedRequest>> simulated_requests(const workload::Request& request,
                                                         uint64_t first_id,
                                                         const scheduler::Config& config);

/// Gives workload requests one after the other; false when there are no more.
using WorkloadFeed = std::function<Result<bool>(workload::Request&)>;
/// The requests of a generator, made one at a time. REQUIRES: workload::validate(options).
WorkloadFeed generator_feed(const workload::GenerateOptions& options);

/// The requests of a feed, so that a long workload need not be in memory.
std::unique_ptr<RequestSource> make_workload_source(WorkloadFeed feed,
                                                    const scheduler::Config& config);
/// The requests of a workload, which outlives the source.
std::unique_ptr<RequestSource> make_workload_source(const workload::Workload& workload,
                                                    const scheduler::Config& config);
/// The completions of a measured run by arrival: lengths, hashes and outcomes as they were; refused
/// ones are left out. Times start at the first arrival. The records outlive the source.
std::unique_ptr<RequestSource> make_record_source(
    const std::vector<records::RequestRecord>& records);

/// The chain of a record's blocks. ERRORS: kInvalidArgument naming the hash that is none.
Result<std::vector<scheduler::BlockHash>> parse_block_hashes(const records::RequestRecord& record);

}  // namespace touchstone::simulator
