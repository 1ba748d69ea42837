// Writes what a simulation did as engine and load generator would: step log, request records,
// spans, metrics pages, server description and ledger in a run folder, so that everything that
// reads or judges a measured run takes a simulated one. Times are virtual, dates count from
// kEpochUnixNs. Thread-compatible.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/files.h"
#include "base/result.h"
#include "records/run_folder.h"
#include "simulator/cluster/replica.h"
#include "simulator/ledger_writer.h"
#include "simulator/span_file.h"
#include "telemetry/prometheus/vllm_metrics.h"

namespace touchstone::simulator {

/// In the header of a step log: tokens may come from elsewhere than the pool when a request is
/// admitted; those are inputs, which the log's `computed` beyond `cached` says.
inline constexpr char kExternalKv[] = "external_kv";

records::StepRecord step_record(const StepView& step);

struct RunWriterOptions {
  std::string folder;              ///< new or empty
  std::string name;                ///< of the run, for its manifest
  uint64_t seed = 0;               ///< of the simulation: span ids follow from it
  bool crashes_are_final = false;  ///< what a crash interrupts is not sent again
};

/// Passes everything on to `next` after writing it. The files of a single replica are in the
/// folder itself, those of several in folders replica-0, replica-1, … in it; what none of several
/// served is in a ledger beside them.
class RunWriter final : public Observer {
 public:
  /// Makes the folder and its files. `next` outlives the writer. ERRORS: those of
  /// records::RunFolderWriter, kIo.
  static Result<std::unique_ptr<RunWriter>> open(const RunWriterOptions& options,
                                                 std::span<const ReplicaOptions> replicas,
                                                 Observer& next);
  void on_step(const StepView& step) override;
  void on_request(int32_t replica, const records::RequestRecord& request) override;
  void on_stats(int32_t replica, const records::StepStats& stats) override;
  void on_prefilled(int32_t replica, const records::RequestRecord& request) override;
  void on_lost(const SimulatedRequest& request, Loss loss, int64_t time_ns) override;
  bool wants_hashes() const override { return true; }
  bool wants_stats() const override { return true; }
  /// Removes the folder: what it would say is not whole.
  void discard() { folder_->discard(); }
  /// Metrics pages and the manifest. Result: the first error of any write. Call at the end.
  Status finish();

 private:
  struct Files {
    std::string folder;
    std::unique_ptr<LineWriter> steps;
    std::unique_ptr<LineWriter> records;
    std::unique_ptr<SpanFile> spans;
    std::unique_ptr<LedgerWriter> ledger;
    std::unique_ptr<telemetry::VllmMetrics> metrics;
  };
  RunWriter(const RunWriterOptions& options, std::unique_ptr<records::RunFolderWriter> folder,
            Observer& next)
      : options_(options), folder_(std::move(folder)), next_(next) {}
  Status open_replica(const std::string& folder, const ReplicaOptions& replica);
  void write(int32_t replica, const records::RequestRecord& request);
  /// Of what no replica served; opened when there is something.
  LedgerWriter* lost_ledger();
  Files& of(int32_t replica) { return files_[static_cast<size_t>(replica)]; }
  void keep(Status status);

  const RunWriterOptions options_;
  const std::unique_ptr<records::RunFolderWriter> folder_;
  std::unique_ptr<LedgerWriter> lost_;
  std::vector<Files> files_;  // by replica
  Observer& next_;
  Status status_;
};

}  // namespace touchstone::simulator
