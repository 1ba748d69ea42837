// Writes what a simulation did in the engine's own formats: steps.jsonl (telemetry/step_log.h) and
// records.jsonl (telemetry/request_record.h), so that everything that reads a measured run reads a
// simulated one. Thread-compatible.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/result.h"
#include "simulator/replica.h"

namespace touchstone::simulator {

records::StepRecord step_record(const StepView& step);
records::RequestRecord request_record(const RequestTimes& request, int64_t block_size);

/// Passes everything on to `next` after writing it.
class LogWriter final : public Observer {
 public:
  /// Creates `folder` and both files. ERRORS: kIo.
  static Result<std::unique_ptr<LogWriter>> open(const std::string& folder,
                                                 const scheduler::Config& config, Observer& next);
  void on_step(const StepView& step) override;
  void on_request(const RequestTimes& request) override;
  bool wants_hashes() const override { return true; }
  /// The first error of any write. Call at the end.
  Status finish();

 private:
  LogWriter(std::unique_ptr<LineWriter> steps, std::unique_ptr<LineWriter> records,
            int64_t block_size, Observer& next);
  void keep(Status status);

  std::unique_ptr<LineWriter> steps_;
  std::unique_ptr<LineWriter> records_;
  const int64_t block_size_;
  Observer& next_;
  Status status_;
};

}  // namespace touchstone::simulator
