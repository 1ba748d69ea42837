// The contract between the engine and what computes: paged KV in, sampled tokens out.
// Implementations: cpu/ (this program) and shared objects behind the C table of plugin.h. One
// thread calls a backend; it may use threads of its own. Batch invariance (INV-5): within one named
// kernel set, what a request yields does not depend on the other entries of the plan, on how its
// prompt was cut into plans, on which blocks it was given, on preemption, or on whether a plan was
// in flight.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "reference_engine/backend/plan.h"
#include "reference_engine/sampling/params.h"

namespace touchstone::backend {

/// What a backend can do on this machine, known before a model is.
struct Capabilities {
  std::vector<std::string> dtypes;   ///< what BackendOptions::dtype may be, "auto" besides
  int32_t default_block_size = 0;    ///< tokens per KV block
  int32_t block_size_multiple = 0;   ///< block sizes are multiples of this
  int32_t max_block_size = 0;        ///< tokens
  int32_t default_max_num_seqs = 0;  ///< requests of a plan
  int32_t default_max_num_batched_tokens = 0;
  int64_t default_kv_cache_bytes = 0;      ///< at most, when nobody says how much
  int32_t default_kv_percent = 100;        ///< and at most this part of Sizes::total_bytes
  int32_t max_plans_in_flight = 0;         ///< submitted and not waited for
  int32_t max_adapters = 0;                ///< most BackendOptions::adapter_slots; 0: it has none
  std::vector<std::string> settings = {};  ///< what BackendOptions::settings may name
};

struct ModelInfo {
  std::string architecture;  ///< "LlamaForCausalLM"
  int32_t vocab_size = 0;
  int32_t max_position_embeddings = 0;
  int32_t num_layers = 0;
  int32_t hidden_size = 0;
  int32_t num_heads = 0;
  int32_t num_kv_heads = 0;
  int32_t head_dim = 0;
  int32_t sliding_window = 0;  ///< tokens that every layer sees, its own included; 0: all
  int64_t num_parameters = 0;
  int64_t weight_bytes = 0;
  std::string dtype;    ///< "bfloat16", "float32"
  std::string kernels;  ///< the named kernel set: "avx512", "avx2", "portable"
  std::string device;   ///< one line about it for people; empty: the processor of this process
};

/// The most that any plan will ask for.
struct Limits {
  int32_t max_num_batched_tokens = 0;  ///< tokens of one plan
  int32_t max_num_seqs = 0;            ///< entries of one plan
  int32_t max_model_len = 0;           ///< tokens of one request
  int32_t block_size = 0;              ///< tokens of one KV block
};

/// Memory, in bytes. KV may take what is free and not workspace.
struct Sizes {
  int64_t weight_bytes = 0;  ///< taken already
  /// What plans within the limits will take besides KV, full adapter slots included.
  int64_t workspace_bytes = 0;
  int64_t total_bytes = 0;     ///< of the device, or of this process's share
  int64_t free_bytes = 0;      ///< of these, as of now
  int64_t kv_block_bytes = 0;  ///< keys and values of one block, all layers
};

/// An adapter in a folder as PEFT writes it (model/adapter.h).
struct AdapterSource {
  std::string folder;
  /// Of its files as they were when somebody looked at them, in hex: others are refused.
  std::string sha256;
};

/// Each request: begin(), entries of plans, preempted() any number of times, end(). Each plan:
/// submit(), then wait(); plans are computed in the order of submission, and up to
/// Capabilities::max_plans_in_flight may be in flight. With two of them an engine plans the next
/// step while the device computes, as vLLM's asynchronous scheduling does; the last token of an
/// entry is then kTokenInFlight, and never leaves the device in between.
class Backend {
 public:
  virtual ~Backend() = default;

  virtual const ModelInfo& model() const = 0;
  /// May be asked before and after allocate_kv(). ERRORS: kUnsupported (a block size).
  virtual Result<Sizes> size(const Limits& limits) = 0;
  /// Takes memory for `num_blocks` blocks (block 0, the null block, included). Once, before the
  /// first plan. ERRORS: kUnavailable with bytes needed when there is not enough memory.
  virtual Status allocate_kv(int64_t num_blocks, int32_t block_size) = 0;

  /// Puts an adapter into a slot, for entries of later plans; what the slot held is gone.
  /// REQUIRES: slot < BackendOptions::adapter_slots, no entry of a plan in flight has it.
  /// ERRORS: as model::load_adapter(), kUnsupported, kMalformed when the files have changed,
  /// kUnavailable (memory); the slot is then as it was.
  virtual Status load_adapter(int32_t /*slot*/, const AdapterSource& /*source*/) {
    return Error{ErrorCode::kUnsupported, "this backend computes no adapters", {}};
  }

  /// A request's first entry comes with the next plan. `params` and `prompt` are borrowed for the
  /// call; the backend keeps what it needs, and adds each token it samples to the history that
  /// penalties and bad words look at. REQUIRES: the id was never begun. ERRORS: kUnavailable.
  virtual Status begin(RequestId id, const sampling::Params& params,
                       std::span<const int32_t> prompt) = 0;
  /// The request's blocks were taken away; its next entry starts from what the prefix cache holds.
  /// Its history stays, and a token in flight still joins it.
  virtual void preempted(RequestId id) = 0;
  /// The request is over. A plan in flight may still hold an entry of it: that entry is computed,
  /// because others may share its blocks, and its output is unspecified.
  virtual void end(RequestId id) = 0;

  /// Takes the plan; everything it points at may change after the call. REQUIRES: entries, fewer
  /// plans in flight than the capabilities say, kTokenInFlight only with a plan in flight that
  /// samples for that request, slots that hold an adapter. ERRORS: as wait().
  virtual Status submit(const Plan& plan) = 0;
  /// Waits for the oldest plan in flight. `outputs` is overwritten, its memory used again.
  /// ERRORS: kUnavailable when the device failed for good: the engine then fails every request and
  /// the process exits 3.
  virtual Status wait(Outputs& outputs) = 0;
};

}  // namespace touchstone::backend
