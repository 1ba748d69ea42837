// The verb `calibrate` without its flags: learns step times from measured runs, says how well they
// predict what they were not learned from, and writes a model file. Thread-compatible.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "reference_engine/scheduler/config.h"
#include "result/result_model.h"
#include "simulator/calibrate/operations.h"

namespace touchstone::simulator {

struct CalibrateOptions {
  std::vector<std::string> runs;  ///< measured/load.h
  /// A model file whose shape is kept: only the server process's anchor is learned.
  std::string base;
  /// The times of the first part of each run's requests, by arrival, are used; the rest judges.
  double fit_share = 1;
  /// Instead of runs: measured operations, or a profile of vLLM's layers with `model_config`.
  std::optional<OperationsOptions> operations;
  std::string profile;
  std::string model_config;
  /// Find the steps of streamed runs in the times of their tokens (recover_steps.h), even where
  /// spans tell times of prefill and decode; without those it is done anyway.
  bool recover_steps = false;
  scheduler::FieldValues changes;  ///< settings that the runs do not say
  std::string output;              ///< the model file
};

/// ERRORS: kInvalidArgument for runs that do not identify the model, with the load that is missing;
/// those of the files.
Result<result::Report> calibrate(const CalibrateOptions& options);

}  // namespace touchstone::simulator
