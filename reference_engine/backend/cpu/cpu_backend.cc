#include "reference_engine/backend/cpu/cpu_backend.h"

#include <utility>

#include "base/check.h"
#include "base/memory.h"
#include "base/text.h"

namespace touchstone::backend::cpu {
namespace {

// vLLM 0.32's defaults on a CPU, but its GPUs' block size: with the CPU's 128 a short prompt never
// hits the prefix cache.
constexpr int32_t kMaxBlockSize = 65536;
const Capabilities kCapabilities = {.dtypes = {"float32", "bfloat16"},
                                    .default_block_size = 16,
                                    .block_size_multiple = 1,
                                    .max_block_size = kMaxBlockSize,
                                    .default_max_num_seqs = 128,
                                    .default_max_num_batched_tokens = 2048,
                                    .default_kv_cache_bytes = int64_t{4} << 30,
                                    .default_kv_percent = 25,
                                    .max_plans_in_flight = 2,
                                    .max_adapters = 1024,
                                    .settings = {"kernels", "threads"}};

/// Appends `from` to `all`, whose capacity must do, and points `from` there.
void move_into(std::vector<int32_t>& all, std::span<const int32_t>& from) {
  const size_t first = all.size();
  BASE_CHECK(first + from.size() <= all.capacity());
  all.insert(all.end(), from.begin(), from.end());
  from = std::span(all).subspan(first);
}

}  // namespace

CpuBackend::CpuBackend(std::unique_ptr<Executor> executor)
    : executor_(std::move(executor)), scratches_(static_cast<size_t>(Decoder::kLogitRows)) {}

Result<Sizes> CpuBackend::size(const Limits& limits) {
  if (limits.block_size < 1 || limits.block_size > kMaxBlockSize) {
    return Error{ErrorCode::kUnsupported,
                 "--block-size: got " + std::to_string(limits.block_size) + ", expected 1 to " +
                     std::to_string(kMaxBlockSize),
                 {}};
  }
  const int64_t vocab = executor_->info().vocab_size;
  // Of sampling: a copy of the logits, weights, candidates, selection and counts for each row.
  const int64_t sampling = Decoder::kLogitRows * vocab * int64_t{4 + 8 + 4 + 4 + 4};
  const MemoryLimits memory = read_memory_limits();
  return Sizes{.weight_bytes = executor_->info().weight_bytes,
               .workspace_bytes = executor_->workspace_bytes(limits) + sampling,
               .total_bytes = memory.total_bytes,
               .free_bytes = memory.available_bytes,
               .kv_block_bytes = executor_->kv_block_bytes(limits.block_size)};
}

Status CpuBackend::allocate_kv(int64_t num_blocks, int32_t block_size) {
  return executor_->allocate_kv(num_blocks, block_size);
}

Status CpuBackend::begin(RequestId id, const sampling::Params& params,
                         std::span<const int32_t> prompt) {
  const bool fresh =
      requests_
          .try_emplace(
              id, Request{.params = params, .prompt = {prompt.begin(), prompt.end()}, .output = {}})
          .second;
  BASE_CHECK(fresh, "request ", id, " was begun before");
  return {};
}

void CpuBackend::preempted(RequestId id) {
  // Keys and values lie in the blocks and the history stays: there is nothing to give back.
  BASE_CHECK(requests_.contains(id), "request ", id, " was not begun");
}

void CpuBackend::end(RequestId id) {
  BASE_CHECK(requests_.erase(id) == 1, "request ", id, " was not begun");
}

void CpuBackend::copy_plan(const Plan& plan, Flight& flight) {
  size_t tokens = 0;
  size_t blocks = 0;
  size_t words = 0;
  for (const Entry& entry : plan.entries) {
    tokens += entry.tokens.size();
    blocks += entry.block_table.size();
    words += entry.token_bitmask.size();
  }
  flight.tokens.clear();
  flight.tokens.reserve(tokens);
  flight.blocks.clear();
  flight.blocks.reserve(blocks);
  flight.bitmasks.clear();
  flight.bitmasks.reserve(words);
  flight.entries.assign(plan.entries.begin(), plan.entries.end());
  for (Entry& entry : flight.entries) {
    move_into(flight.tokens, entry.tokens);
    move_into(flight.blocks, entry.block_table);
    move_into(flight.bitmasks, entry.token_bitmask);
  }
}

Status CpuBackend::submit(const Plan& plan) {
  BASE_CHECK(in_flight_ < flights_.size(), "plans in flight: ", in_flight_);
  BASE_CHECK(!plan.entries.empty(), "an empty plan");
  for (const Entry& entry : plan.entries) {
    BASE_CHECK(requests_.contains(entry.request_id), "request ", entry.request_id);
  }
  copy_plan(plan, flights_[(oldest_ + in_flight_++) % flights_.size()]);
  return {};
}

/// The plan before has been computed, so what was in flight is the request's latest token.
void CpuBackend::take_tokens_in_flight(Flight& flight) {
  size_t end = 0;
  for (const Entry& entry : flight.entries) {
    end += entry.tokens.size();
    int32_t& last = flight.tokens[end - 1];
    if (last != kTokenInFlight) continue;
    const auto found = requests_.find(entry.request_id);
    if (found == requests_.end()) {
      last = 0;  // ended meanwhile: nobody will read what comes of it
      continue;
    }
    BASE_CHECK(!found->second.output.empty(), "request ", entry.request_id,
               " has no token in flight");
    last = found->second.output.back();
  }
}

void CpuBackend::emit(const Entry& entry, const Request* request, size_t index, size_t token,
                      std::span<float> logits, sampling::Scratch& scratch, Outputs& outputs) const {
  if (request == nullptr) return;
  if (token < static_cast<size_t>(entry.num_prompt_rows)) {
    const size_t next = static_cast<size_t>(entry.first_position) + token + 1;
    sampling::write_logprobs(logits, request->prompt.at(next),
                             outputs.prompt_row(index, static_cast<int64_t>(token)));
  }
  if (!entry.sample || token + 1 != entry.tokens.size()) return;
  if (!entry.token_bitmask.empty()) sampling::apply_token_bitmask(entry.token_bitmask, logits);
  const int32_t sampled =
      sampling::sample(logits, request->params, {request->prompt, request->output}, scratch);
  outputs.tokens[index] = sampled;
  if (entry.logprobs) {
    sampling::write_logprobs(logits, sampled, outputs.sampled_row(index));
  }
}

Status CpuBackend::wait(Outputs& outputs) {
  BASE_CHECK(in_flight_ > 0, "no plan is in flight");
  Flight& flight = flights_[oldest_];
  oldest_ = (oldest_ + 1) % flights_.size();
  in_flight_ -= 1;
  take_tokens_in_flight(flight);
  outputs.lay_out({flight.entries}, executor_->info().vocab_size);
  std::vector<Segment> segments;
  std::vector<Request*> requests;
  for (const Entry& entry : flight.entries) {
    const auto found = requests_.find(entry.request_id);
    requests.push_back(found == requests_.end() ? nullptr : &found->second);
    segments.push_back({entry.tokens, entry.first_position, entry.block_table, entry.adapter_slot});
  }
  const auto wants = [&](size_t index, size_t token) {
    const Entry& entry = flight.entries[index];
    return token < static_cast<size_t>(entry.num_prompt_rows) ||
           (entry.sample && token + 1 == entry.tokens.size());
  };
  const size_t vocab = static_cast<size_t>(executor_->info().vocab_size);
  executor_->run(segments, wants, [&](std::span<const Wanted> wanted, const Rows& logits) {
    executor_->pool().run(logits.rows, [&](int64_t row, int) {
      const auto& [index, token] = wanted[static_cast<size_t>(row)];
      emit(flight.entries[index], requests[index], index, token, {logits.row(row), vocab},
           scratches_[static_cast<size_t>(row)], outputs);
    });
  });
  for (size_t i = 0; i < requests.size(); ++i) {
    if (requests[i] != nullptr && flight.entries[i].sample) {
      requests[i]->output.push_back(outputs.tokens[i]);
    }
  }
  return {};
}

namespace {

Result<CpuOptions> cpu_options(const BackendOptions& options) {
  CpuOptions cpu{.dtype = options.dtype,
                 .adapter_slots = options.adapter_slots,
                 .max_adapter_rank = options.max_adapter_rank};
  for (const auto& [name, value] : options.settings) {
    if (name == "kernels") {
      cpu.kernels = value;
    } else if (name == "threads") {
      const auto threads = parse_int(value);
      if (!threads || *threads < 0 || *threads > INT16_MAX) {
        return invalid_argument("--threads: got " + quote(value) + ", expected a number");
      }
      cpu.threads = static_cast<int>(*threads);
    } else {
      return invalid_argument("backend cpu: got setting " + quote(name) +
                              ", expected kernels or threads");
    }
  }
  return cpu;
}

class CpuFactory final : public BackendFactory {
 public:
  std::string name() const override { return "cpu"; }
  Status probe() const override { return {}; }
  Result<Capabilities> capabilities() const override { return kCapabilities; }
  Result<std::unique_ptr<Backend>> create(const std::string& folder,
                                          const BackendOptions& options) const override {
    const auto cpu = cpu_options(options);
    if (!cpu) return cpu.error();
    auto model = model::load_model(folder, {.format = options.load_format, .seed = options.seed});
    if (!model) return std::move(model).error();
    auto executor = Executor::make(*model, *cpu);
    if (!executor) return std::move(executor).error();
    return std::unique_ptr<Backend>(std::make_unique<CpuBackend>(*std::move(executor)));
  }
};

}  // namespace

std::unique_ptr<BackendFactory> cpu_factory() { return std::make_unique<CpuFactory>(); }

}  // namespace touchstone::backend::cpu
