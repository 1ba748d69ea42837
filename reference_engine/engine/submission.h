// The engine's vocabulary: what it is asked and what it says. It knows tokens, text and sampling;
// endpoints and JSON are its callers' business. Values; thread-compatible.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "records/request_record.h"
#include "reference_engine/engine/adapter.h"
#include "reference_engine/engine/constraint.h"
#include "reference_engine/sampling/logprobs.h"
#include "reference_engine/sampling/params.h"
#include "reference_engine/scheduler/block_hash.h"
#include "reference_engine/scheduler/types.h"

namespace touchstone::engine {

using TokenLogprobs = std::vector<std::vector<sampling::TokenLogprob>>;
/// None, a stop token id, or a stop string.
using StopReason = std::variant<std::monostate, int32_t, std::string>;

/// What is known of one prompt after it was computed.
struct PromptOutput {
  int32_t num_cached_tokens = 0;
  /// With Params::prompt_logprobs: one entry per prompt token: the token itself first, then the
  /// most likely ones; the first entry is empty (nothing precedes the first token).
  TokenLogprobs logprobs;
};

/// What one choice has to say after a step.
struct Output {
  size_t prompt_index = 0;
  int32_t choice = 0;  ///< prompt index * n + i
  /// Set with the first output of a prompt's first choice: the prompt was computed.
  std::optional<PromptOutput> prompt;
  std::string text;
  std::vector<int32_t> token_ids;
  /// One entry per token of `token_ids` when Params::logprobs asks for them: the sampled token
  /// first, then the most likely ones; else empty.
  TokenLogprobs logprobs;
  std::optional<scheduler::FinishReason> finish_reason;  ///< of its last output
  StopReason stop_reason;
};

/// Where the outputs of one submission go. Called on the engine thread; must not block.
class OutputSink {
 public:
  virtual ~OutputSink() = default;
  /// All outputs of one step.
  virtual void deliver(std::vector<Output> outputs) = 0;
  /// The engine, or what it needs for this submission, failed; nothing follows.
  virtual void fail(const std::string& message) = 0;
};

struct Prompt {
  /// Shared with who submits. REQUIRES 1 <= size, size + max_tokens <= max_model_len.
  std::shared_ptr<const std::vector<int32_t>> token_ids;
  int32_t max_tokens = 0;  ///< >= 1
  /// Of its full blocks; made by the submitter, off the engine thread.
  std::vector<scheduler::BlockHash> block_hashes;
  std::string request_id;                  ///< as the records of its choices show it
  std::optional<int64_t> characters = {};  ///< of its text, likewise
};

/// One or more prompts with n choices each, validated and ready to run.
struct Submission {
  std::vector<Prompt> prompts;
  int32_t n = 1;  ///< choices per prompt

  sampling::Params sampling;  ///< without its seed
  /// Choice i of a prompt uses seed + i; absent: the engine's stream gives one.
  std::optional<int64_t> seed;
  std::vector<std::string> stop;  ///< stop strings, none empty
  bool include_stop_in_output = false;
  bool skip_special_tokens = true;
  std::vector<int32_t> eos_token_ids;   ///< finish "stop", no stop reason
  std::vector<int32_t> stop_token_ids;  ///< finish "stop", stop reason the id
  bool ignore_eos = false;

  std::vector<int32_t> allowed_token_ids;  ///< nothing else is said; empty: everything may
  /// Shared with who makes it ready; null: answers are free.
  std::shared_ptr<const ConstraintSource> constraint;

  /// Shared with who serves it; null: the base model.
  std::shared_ptr<const Adapter> adapter;
  int64_t priority = 0;    ///< lower is sooner
  std::string cache_salt;  ///< enters the prefix hash; empty: none
  /// Of the prefix hashes of its prompts.
  scheduler::ChainKeys chain_keys() const {
    return {
        .cache_salt = cache_salt,
        .adapter = adapter != nullptr ? std::string_view(adapter->cache_key) : std::string_view()};
  }

  /// What every choice's record starts from: the submitter sets what the engine does not know
  /// (endpoint, model, tenant, trace, stream, arrival); ids, parameters, counts and times are the
  /// engine's.
  records::RequestRecord record;
  /// Shared: submitter and engine each let go when they are done, in either order.
  std::shared_ptr<OutputSink> sink;
};

}  // namespace touchstone::engine
