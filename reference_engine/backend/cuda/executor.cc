#include "reference_engine/backend/cuda/executor.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <utility>

#include "base/check.h"
#include "reference_engine/sampling/sampler.h"

namespace touchstone::backend::cuda {
namespace {

/// Rows whose logits exist at the same time.
constexpr int64_t kLogitRows = 256;
/// Log-probabilities that the device keeps until they are fetched; more are fetched in parts.
constexpr int64_t kLogprobElements = int64_t{1} << 20;
/// What a group's tokens may leave unused before the next group's.
constexpr int64_t kTokenGap = 16;

int64_t aligned(int64_t bytes) { return (bytes + 255) / 256 * 256; }

}  // namespace

Executor::Executor(Device& device, std::unique_ptr<Gemm> gemm, Decoder decoder, Graphs graphs)
    : device_(device), gemm_(std::move(gemm)), decoder_(std::move(decoder)), use_graphs_(graphs) {}

int64_t Executor::kv_block_bytes(int32_t block_size) const {
  return KvCache::block_bytes(decoder_.kv_shape(), block_size);
}

Decoder::Room Executor::room(const Limits& limits) const {
  return {.rows = limits.max_num_batched_tokens,
          .logit_rows = std::min<int64_t>(kLogitRows, limits.max_num_batched_tokens),
          .single_sequences = limits.max_num_seqs,
          .max_length = limits.max_model_len};
}

int32_t Executor::largest_graph() const {
  return static_cast<int32_t>(std::min<int64_t>(limits_.max_num_seqs, room(limits_).logit_rows));
}

int64_t Executor::state_bytes(const Limits& limits) const {
  const int64_t slots = limits.max_num_seqs;
  return aligned(4 * slots) + aligned(4 * slots * limits.max_model_len) +
         aligned(4 * slots * decoder_.config().vocab_size);
}

/// The most that the arrays of a forward pass take.
int64_t Executor::step_bytes(const Limits& limits) const {
  const int64_t rows = limits.max_num_batched_tokens;
  const int64_t sequences = limits.max_num_seqs;
  const int64_t blocks = (limits.max_model_len + limits.block_size - 1) / limits.block_size;
  return 3 * Staging::size_of(4 * rows) + Staging::size_of(8 * rows) +
         2 * (Staging::size_of(4 * (sequences + 1)) + Staging::size_of(4 * sequences) +
              Staging::size_of(4 * sequences * blocks));
}

Executor::OutputLayout Executor::output_layout(const Limits& limits) const {
  const int64_t elements =
      std::max<int64_t>(kLogprobElements, int64_t{2} * (decoder_.config().vocab_size + 1));
  // Every group may leave a gap before it.
  const int64_t groups = 1 + limits.max_num_batched_tokens / std::max<int64_t>(1, kLogitRows);
  OutputLayout layout;
  layout.elements = elements;
  layout.logprob_tokens = aligned(4 * (limits.max_num_seqs + groups * kTokenGap));
  layout.logprobs = layout.logprob_tokens + aligned(4 * elements);
  layout.ranks = layout.logprobs + aligned(4 * elements);
  layout.size = layout.ranks + aligned(4 * elements);
  return layout;
}

int64_t Executor::workspace_bytes(const Limits& limits) const {
  const int32_t vocab = decoder_.config().vocab_size;
  return decoder_.workspace_bytes(room(limits)) + state_bytes(limits) + step_bytes(limits) +
         output_layout(limits).size +
         sample_workspace_bytes(static_cast<int32_t>(room(limits).logit_rows), vocab);
}

Status Executor::allocate(const Limits& limits, int64_t num_blocks, int32_t block_size) {
  BASE_CHECK(!cache_.has_value(), "allocate_kv() is called once");
  limits_ = limits;
  RETURN_IF_ERROR(decoder_.allocate(room(limits)));
  const auto take = [&](int64_t bytes, const char* what, DeviceBuffer& to) -> Status {
    auto memory = DeviceBuffer::make(device_, bytes, what);
    if (!memory) return std::move(memory).error();
    to = *std::move(memory);
    return device_.fill_zero(to.at(), to.size());
  };
  const int32_t vocab = decoder_.config().vocab_size;
  RETURN_IF_ERROR(take(state_bytes(limits), "sampling state", state_));
  latest_ = state_.at<int32_t>();
  outputs_ = state_.at<int32_t>(aligned(4 * int64_t{limits.max_num_seqs}));
  counts_ = outputs_ + aligned(4 * int64_t{limits.max_num_seqs} * limits.max_model_len) / 4;
  RETURN_IF_ERROR(take(sample_workspace_bytes(static_cast<int32_t>(room(limits).logit_rows), vocab),
                       "sampling", sample_workspace_));
  layout_ = output_layout(limits);
  RETURN_IF_ERROR(take(layout_.size, "outputs of a step", results_));
  for (Flight& flight : flights_) {
    auto pinned = PinnedBuffer::make(device_, layout_.size);
    if (!pinned) return std::move(pinned).error();
    flight.pinned = *std::move(pinned);
  }
  auto history = PinnedBuffer::make(device_, 4 * std::max<int64_t>(vocab, limits.max_model_len));
  if (!history) return std::move(history).error();
  history_ = *std::move(history);
  RETURN_IF_ERROR(step_staging_.reserve(device_, step_bytes(limits)));
  auto cache = KvCache::make(device_, decoder_.kv_shape(), num_blocks, block_size);
  if (!cache) return std::move(cache).error();
  cache_ = *std::move(cache);
  return {};
}

Result<ForwardInputs> Executor::send_step(size_t half, const int32_t*& graph_rows) {
  ForwardInputs inputs;
  inputs.rows = step_.rows;
  inputs.latest = latest_;
  step_staging_.add(step_.tokens, inputs.tokens);
  step_staging_.add(step_.positions, inputs.positions);
  step_staging_.add(step_.slots, inputs.slots);
  step_staging_.add(graph_rows_, graph_rows);
  const auto add_group = [&](const AttendArrays& arrays, AttendGroup& group) {
    group.sequences = arrays.sequences;
    group.table_stride = arrays.table_stride;
    group.max_rows = arrays.max_rows;
    group.max_length = arrays.max_length;
    step_staging_.add(arrays.row_starts, group.row_starts);
    step_staging_.add(arrays.lengths, group.lengths);
    step_staging_.add(arrays.block_tables, group.block_tables);
  };
  add_group(step_.single, inputs.single);
  add_group(step_.several, inputs.several);
  // Growing would move what the graphs read.
  BASE_CHECK(step_staging_.pending_bytes() <= step_staging_.capacity(), "a plan beyond the limits");
  RETURN_IF_ERROR(step_staging_.send(device_, half));
  return inputs;
}

/// A plan of a shape is computed up to its logits, another one up to hidden states. The first one
/// of a shape is launched kernel by kernel: that loads what a capture may not, and a shape that is
/// met once needs no graph.
Status Executor::run_forward(const std::optional<DecodeShape>& shape, const ForwardInputs& inputs,
                             const int32_t* graph_rows) {
  if (!shape) return decoder_.forward(inputs, *cache_);
  const auto compute = [&]() -> Status {
    const Status forward = decoder_.forward(inputs, *cache_);
    return forward ? decoder_.compute_logits(graph_rows, inputs.rows) : forward;
  };
  const auto [found, first] = graphs_.try_emplace(*shape, std::nullopt);
  if (first) return compute();
  if (!found->second) {
    const auto graph = device_.capture(compute);
    if (!graph) return graph.error();
    found->second = *graph;
  }
  return device_.launch_graph(*found->second);
}

}  // namespace touchstone::backend::cuda
