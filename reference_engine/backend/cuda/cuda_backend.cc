#include "reference_engine/backend/cuda/cuda_backend.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace touchstone::backend::cuda {
namespace {

constexpr int32_t kBlockSizeMultiple = 16;
constexpr int32_t kMaxBlockSize = 1024;

}  // namespace

CudaBackend::CudaBackend(std::unique_ptr<Device> device, std::unique_ptr<Executor> executor,
                         ModelInfo info, double memory_utilization, const Limits& usual_limits)
    : device_(std::move(device)),
      executor_(std::move(executor)),
      info_(std::move(info)),
      memory_utilization_(memory_utilization),
      limits_(usual_limits) {}

CudaBackend::~CudaBackend() { executor_.reset(); }

Result<Sizes> CudaBackend::size(const Limits& limits) {
  if (limits.block_size < 1 || limits.block_size > kMaxBlockSize ||
      limits.block_size % kBlockSizeMultiple != 0) {
    return Error{ErrorCode::kUnsupported,
                 "--block-size: got " + std::to_string(limits.block_size) +
                     ", expected a multiple of " + std::to_string(kBlockSizeMultiple) + " up to " +
                     std::to_string(kMaxBlockSize),
                 {}};
  }
  limits_ = limits;
  const auto memory = device_->memory();
  if (!memory) return memory.error();
  const int64_t share =
      static_cast<int64_t>(static_cast<double>(memory->total_bytes) * memory_utilization_);
  const int64_t taken = memory->total_bytes - memory->free_bytes;  // by anybody
  return Sizes{.weight_bytes = executor_->decoder().weight_bytes(),
               .workspace_bytes = executor_->workspace_bytes(limits),
               .total_bytes = share,
               .free_bytes = share - taken,
               .kv_block_bytes = executor_->kv_block_bytes(limits.block_size)};
}

Status CudaBackend::allocate_kv(int64_t num_blocks, int32_t block_size) {
  limits_.block_size = block_size;
  slots_.assign(static_cast<size_t>(limits_.max_num_seqs), std::nullopt);
  return executor_->allocate(limits_, num_blocks, block_size);
}

Status CudaBackend::begin(RequestId id, const sampling::Params& params,
                          std::span<const int32_t> prompt) {
  const bool fresh =
      requests_
          .try_emplace(id, RequestState{.params = params, .prompt = {prompt.begin(), prompt.end()}})
          .second;
  BASE_CHECK(fresh, "request ", id, " was begun before");
  return {};
}

void CudaBackend::preempted(RequestId id) {
  // Its slot stays until another request needs one: the history is the same when it comes back.
  BASE_CHECK(requests_.contains(id), "request ", id, " was not begun");
}

void CudaBackend::end(RequestId id) {
  const auto found = requests_.find(id);
  BASE_CHECK(found != requests_.end(), "request ", id, " was not begun");
  // Who gets the slot next starts after the plans in flight, on the device's queue.
  if (found->second.slot) slots_.at(static_cast<size_t>(*found->second.slot)).reset();
  requests_.erase(found);
}

void CudaBackend::check(const Plan& plan) const {
  BASE_CHECK(flights_.size() < Staging::kHalves, "plans in flight: ", flights_.size());
  BASE_CHECK(!plan.entries.empty(), "an empty plan");
  BASE_CHECK(plan.entries.size() <= slots_.size(), plan.entries.size(), " entries");
  int64_t rows = 0;
  for (const Entry& entry : plan.entries) {
    BASE_CHECK(requests_.contains(entry.request_id), "request ", entry.request_id);
    BASE_CHECK(!entry.tokens.empty() && entry.first_position >= 0, entry.first_position);
    rows += static_cast<int64_t>(entry.tokens.size());
    for (const int32_t token : entry.tokens) {
      BASE_CHECK(token < info_.vocab_size, "token=", token);
    }
  }
  BASE_CHECK(rows <= limits_.max_num_batched_tokens, rows, " tokens");
}

/// A slot that nobody holds, or one of a request that `plan` does not compute. That one's next
/// entry comes when its latest token is known here, so that its history can be given back: a plan
/// in between means that the one which sampled the token was waited for.
int32_t CudaBackend::free_slot(const Plan& plan) {
  const auto free = std::find(slots_.begin(), slots_.end(), std::nullopt);
  if (free != slots_.end()) return static_cast<int32_t>(free - slots_.begin());
  for (size_t i = 0; i < slots_.size(); ++i) {
    const bool computed =
        std::any_of(plan.entries.begin(), plan.entries.end(),
                    [&](const Entry& entry) { return entry.request_id == *slots_[i]; });
    if (computed) continue;
    requests_.at(*slots_[i]).slot.reset();
    return static_cast<int32_t>(i);
  }
  BASE_CHECK(false, "more entries than slots");
  return 0;
}

void CudaBackend::give_slots(const Plan& plan, std::vector<RequestState*>& requests,
                             std::vector<const RequestState*>& newcomers) {
  for (const Entry& entry : plan.entries) {
    RequestState& request = requests_.at(entry.request_id);
    if (!request.slot) {
      request.slot = free_slot(plan);
      slots_[static_cast<size_t>(*request.slot)] = entry.request_id;
      newcomers.push_back(&request);
    }
    requests.push_back(&request);
  }
}

Status CudaBackend::submit(const Plan& plan) {
  check(plan);
  for (const Entry& entry : plan.entries) {
    if (entry.adapter_slot) {
      return Error{ErrorCode::kUnsupported,
                   "adapter slot " + std::to_string(*entry.adapter_slot) +
                       ": this backend computes no adapters",
                   {}};
    }
  }
  std::vector<RequestState*> requests;
  std::vector<const RequestState*> newcomers;
  give_slots(plan, requests, newcomers);
  RETURN_IF_ERROR(executor_->submit(plan, requests, newcomers, next_half_));
  Flight flight{.half = next_half_, .entries = {plan.entries.begin(), plan.entries.end()}};
  for (Entry& entry : flight.entries) {
    entry.tokens = {};
    entry.block_table = {};
    entry.token_bitmask = {};
  }
  flights_.push_back(std::move(flight));
  next_half_ = (next_half_ + 1) % Staging::kHalves;
  return {};
}

Status CudaBackend::wait(Outputs& outputs) {
  BASE_CHECK(!flights_.empty(), "no plan is in flight");
  const Flight flight = std::move(flights_.front());
  flights_.pop_front();
  const auto waited = executor_->wait(flight.half);
  if (!waited) return waited.error();
  const StepResults& results = **waited;
  outputs.lay_out({flight.entries}, info_.vocab_size);
  for (size_t i = 0; i < results.entries.size(); ++i) {
    const size_t entry = results.entries[i];
    outputs.tokens[entry] = results.tokens[i];
    const auto found = requests_.find(flight.entries[entry].request_id);
    if (found != requests_.end()) found->second.output.push_back(results.tokens[i]);
  }
  for (const LogprobPlace& place : results.places) {
    const sampling::LogprobRow row = outputs.logprobs.row(place.flat_first, place.size);
    std::copy_n(results.logprob_tokens.begin() + place.first, place.size, row.tokens.begin());
    std::copy_n(results.logprobs.begin() + place.first, place.size, row.logprobs.begin());
    std::copy_n(results.ranks.begin() + place.first, place.size, row.ranks.begin());
  }
  return {};
}

}  // namespace touchstone::backend::cuda
