// The ledger of a simulated server: what its clients sent and saw, as the load generator writes it
// for a real one. Trace ids come from a seed. Thread-compatible.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/files.h"
#include "base/result.h"
#include "records/ledger.h"
#include "simulator/cluster/replica.h"
#include "simulator/steptime/model.h"
#include "telemetry/dialects/dialect.h"

namespace touchstone::simulator {

class LedgerWriter final {
 public:
  /// `frontend`: what lies between the server's engine and its clients. ERRORS: kIo.
  static Result<std::unique_ptr<LedgerWriter>> open(const std::string& path, uint64_t seed,
                                                    const FrontendLatency& frontend);
  /// Keeps when each stream got its tokens.
  void on_step(const StepView& step);
  /// A request that is over; gives its record the trace that its client began. ERRORS: kIo.
  Status add(records::RequestRecord& record);
  /// A request that no server took. ERRORS: kIo.
  Status add_lost(const SimulatedRequest& request, Loss loss, int64_t time_ns);
  /// ERRORS: kIo.
  Status close() { return lines_->close(); }

 private:
  LedgerWriter(std::unique_ptr<LineWriter> lines, uint64_t seed, const FrontendLatency& frontend)
      : lines_(std::move(lines)), frontend_(frontend), ids_(seed) {}
  records::LedgerEntry entry_of(uint64_t id, const std::string& name, int64_t arrival_ns);

  const std::unique_ptr<LineWriter> lines_;
  const FrontendLatency frontend_;
  telemetry::SpanIds ids_;
  std::unordered_map<scheduler::RequestId, std::vector<int64_t>> chunks_ns_;  // in flight
};

}  // namespace touchstone::simulator
