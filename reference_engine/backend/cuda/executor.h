// Plans on the device: their arrays staged, the forward pass (as a graph where the plan's shape has
// one), sampling, and the results on their way back. Waits for nothing in submit() but where
// results of one plan do not fit at once; wait() waits once. No requests: whoever calls knows them.
// Thread-compatible.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "reference_engine/backend/backend.h"
#include "reference_engine/backend/cuda/decoder.h"
#include "reference_engine/backend/cuda/sampling_arrays.h"
#include "reference_engine/backend/cuda/staging.h"

namespace touchstone::backend::cuda {

enum class Graphs { kOn, kOff };

/// What came back of one plan.
struct StepResults {
  std::vector<size_t> entries;  ///< entry of each token
  std::vector<int32_t> tokens;
  std::vector<LogprobPlace> places;
  std::vector<int32_t> logprob_tokens;  ///< the three have the places' elements
  std::vector<float> logprobs;
  std::vector<int32_t> ranks;
};

class Executor final {
 public:
  /// `device` must outlive it.
  Executor(Device& device, std::unique_ptr<Gemm> gemm, Decoder decoder, Graphs graphs);

  const Decoder& decoder() const { return decoder_; }
  const Gemm& gemm() const { return *gemm_; }
  int64_t kv_block_bytes(int32_t block_size) const;
  /// Device memory besides weights and KV that plans within `limits` need.
  int64_t workspace_bytes(const Limits& limits) const;
  /// Once. ERRORS: kUnavailable.
  Status allocate(const Limits& limits, int64_t num_blocks, int32_t block_size);
  bool is_allocated() const { return cache_.has_value(); }

  /// `half` in [0, Staging::kHalves): free since its last results were taken. `requests` of each
  /// entry, all with slots; `newcomers`: those that have theirs since this plan.
  Status submit(const Plan& plan, std::span<RequestState* const> requests,
                std::span<const RequestState* const> newcomers, size_t half);
  /// Waits for the plan of `half`. The results are valid until the next submit() there.
  Result<const StepResults*> wait(size_t half);

 private:
  /// Plan in flight: its results as far as they are here, and where the others will be.
  struct Flight {
    StepResults results;
    PinnedBuffer pinned;                // tokens, then log-probabilities, as OutputLayout says
    std::vector<int64_t> token_places;  // in `pinned`, of results.entries
    int64_t num_pinned_elements = 0;    // of log-probabilities, on their way
  };
  struct OutputLayout {
    int64_t tokens = 0;  // bytes before each array
    int64_t logprob_tokens = 0;
    int64_t logprobs = 0;
    int64_t ranks = 0;
    int64_t size = 0;
    int64_t elements = 0;  // of the arrays of log-probabilities
  };
  /// Of one group, on the device.
  struct GroupInputs {
    const int32_t* rows = nullptr;
    const SampleRow* samples = nullptr;
    const LogprobsRow* logprobs = nullptr;
  };
  struct SamplingInputs {
    const int32_t* bias_tokens = nullptr;
    const float* bias_values = nullptr;
    const int32_t* masked_tokens = nullptr;
    const int32_t* word_starts = nullptr;
    const int32_t* word_tokens = nullptr;
    const int32_t* bitmasks = nullptr;
    std::vector<GroupInputs> groups;
    std::vector<const int32_t*> prompts;  // of newcomers, as start_histories() needs them
  };

  Decoder::Room room(const Limits& limits) const;
  /// Rows of the largest plan with a graph: one whose logits are one group.
  int32_t largest_graph() const;
  int64_t state_bytes(const Limits& limits) const;
  int64_t step_bytes(const Limits& limits) const;
  OutputLayout output_layout(const Limits& limits) const;
  Result<ForwardInputs> send_step(size_t half, const int32_t*& graph_rows);
  Status run_forward(const std::optional<DecodeShape>& shape, const ForwardInputs& inputs,
                     const int32_t* graph_rows);
  Status send_sampling(std::span<const RequestState* const> newcomers, size_t half);
  Status start_histories(std::span<const RequestState* const> newcomers);
  Status restore_history(const RequestState& request);
  Status sample_group(const LogitGroup& group, const GroupInputs& inputs, int64_t first_token,
                      int64_t first_element);
  Status sample_groups(bool logits_are_there, Flight& flight);
  Status bring_back_logprobs(Flight& flight, int64_t elements);
  void take_back_logprobs(Flight& flight);

  Device& device_;
  std::unique_ptr<Gemm> gemm_;
  Decoder decoder_;
  Graphs use_graphs_;
  std::optional<KvCache> cache_;
  Limits limits_;
  std::map<DecodeShape, std::optional<int32_t>> graphs_;  // of shapes that were met

  // Per slot: what was last sampled, everything that was, and how often.
  DeviceBuffer state_;
  int32_t* latest_ = nullptr;   // (slots)
  int32_t* outputs_ = nullptr;  // (slots, max_model_len)
  int32_t* counts_ = nullptr;   // (slots, vocab)
  DeviceBuffer sample_workspace_;
  DeviceBuffer results_;
  OutputLayout layout_;
  PinnedBuffer history_;  // of a request that comes back to a slot

  Staging step_staging_;
  Staging sampling_staging_;
  std::array<Flight, Staging::kHalves> flights_;
  // Of the plan that is being submitted; kept for their memory.
  StepArrays step_;
  std::vector<int32_t> graph_rows_;
  SamplingArrays sampling_;
  SamplingInputs inputs_;
};

}  // namespace touchstone::backend::cuda
