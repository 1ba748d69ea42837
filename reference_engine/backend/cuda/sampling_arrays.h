// What is sampled, and which log-probabilities are asked for, as the arrays that the kernels read.
// Pure.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "reference_engine/backend/cuda/kernels.h"
#include "reference_engine/backend/cuda/step_arrays.h"
#include "reference_engine/sampling/params.h"

namespace touchstone::backend::cuda {

/// What the backend knows of a request.
struct RequestState {
  sampling::Params params = {};
  std::vector<int32_t> prompt = {};
  std::vector<int32_t> output = {};  ///< sampled tokens that are known here
  int32_t sampled = 0;               ///< sampled tokens, those in flight included
  std::optional<int32_t> slot = {};  ///< where the device keeps its history

  bool has_penalties() const {
    return params.repetition_penalty != 1.0 || params.frequency_penalty != 0.0 ||
           params.presence_penalty != 0.0;
  }
};

/// A row of log-probabilities among the outputs: elements [first, first + size) of what the device
/// wrote in this step belong to [flat_first, …) of the plan's outputs (plan.h).
struct LogprobPlace {
  int64_t first = 0;
  int64_t size = 0;
  int64_t flat_first = 0;
};

/// Rows whose logits are computed together.
struct LogitGroup {
  std::vector<int32_t> rows;  // of the step
  std::vector<SampleRow> samples;
  std::vector<size_t> sampled_entries;  // entry of each of `samples`
  std::vector<LogprobsRow> logprobs;    // `first` counts from the group's own first element
  int64_t num_elements = 0;             // of log-probabilities
};

struct SamplingArrays {
  std::vector<LogitGroup> groups;
  std::vector<LogprobPlace> places;
  std::vector<int32_t> bias_tokens;
  std::vector<float> bias_values;
  std::vector<int32_t> masked_tokens;
  std::vector<int32_t> word_starts;
  std::vector<int32_t> word_tokens;
  std::vector<int32_t> bitmasks;  // (…, bitmask_words(vocab))
};

struct GroupLimits {
  int64_t rows = 0;      ///< of logits
  int64_t elements = 0;  ///< of log-probabilities; at least vocab + 1
};

/// Overwrites `arrays`. `requests`: of each entry; their tokens sampled by this plan are counted.
/// REQUIRES: `step` is of `plan`.
void lay_out_sampling(const Plan& plan, const StepArrays& step,
                      std::span<RequestState* const> requests, int32_t vocab_size,
                      const GroupLimits& limits, SamplingArrays& arrays);

}  // namespace touchstone::backend::cuda
