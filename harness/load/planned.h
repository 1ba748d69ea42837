// The ledger of a load before it is sent: which request is whose, under which ids, and which of
// them say that they are sampled. Pure; thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "harness/load/generator.h"
#include "records/ledger.h"

namespace touchstone::harness {

/// One entry for each request of the target's workload, in its order, index 0. Equal targets and
/// numbers give equal entries. `number`: of the target among those of the load, from 0.
std::vector<records::LedgerEntry> planned_entries(const LoadTarget& target, size_t number);

/// How the client of a request behaves.
struct ClientManner {
  int64_t read_pause_ns = 0;
  std::optional<int64_t> leaves_after_ns;  ///< of sending
};
/// Of each request of the target's workload, in its order; equal targets and numbers give equal
/// ones.
std::vector<ClientManner> planned_manners(const LoadTarget& target, size_t number);

/// The entries when every request has come to what its workload expects.
std::vector<records::LedgerEntry> expected_ledger(const LoadTarget& target, size_t number);

}  // namespace touchstone::harness
