// Writes what a simulation did in the engine's own formats: steps.jsonl (telemetry/step_log.h) and
// records.jsonl (telemetry/request_record.h), so that everything that reads a measured run reads a
// simulated one. Thread-compatible.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/result.h"
#include "simulator/cluster/replica.h"

namespace touchstone::simulator {

records::StepRecord step_record(const StepView& step);

/// The folder of a replica's files: `folder` itself for a single one, else a folder in it.
std::string replica_folder(const std::string& folder, size_t replica, size_t replicas);

/// Writes each replica's run folder, and passes everything on to `next`.
class RunWriter final : public Observer {
 public:
  /// Creates the folders and their files. `next` outlives the writer. ERRORS: kIo.
  static Result<std::unique_ptr<RunWriter>> open(const std::string& folder,
                                                 std::span<const ReplicaOptions> replicas,
                                                 Observer& next);
  void on_step(const StepView& step) override;
  void on_request(int32_t replica, const records::RequestRecord& request) override;
  bool wants_hashes() const override { return true; }
  /// The first error of any write. Call at the end.
  Status finish();

 private:
  struct Files {
    std::unique_ptr<LineWriter> steps;
    std::unique_ptr<LineWriter> records;
  };
  explicit RunWriter(Observer& next) : next_(next) {}
  Status open_replica(const std::string& folder, const scheduler::Config& config);
  void keep(Status status);

  std::vector<Files> files_;  // by replica
  Observer& next_;
  Status status_;
};

}  // namespace touchstone::simulator
