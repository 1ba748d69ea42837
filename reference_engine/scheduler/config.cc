// What a scheduler configuration must fulfil before anything is built on it.
#include <string>

#include "reference_engine/scheduler/scheduler.h"

namespace touchstone::scheduler {
namespace {

Error bad(const char* field, int64_t got, const std::string& expected, std::string hint = {}) {
  return invalid_argument(
      std::string(field) + ": got " + std::to_string(got) + ", expected " + expected,
      std::move(hint));
}

}  // namespace

Status validate(const Config& config) {
  if (config.block_size < 1) return bad("block_size", config.block_size, "at least 1");
  if (config.num_blocks < 2 || config.num_blocks > INT32_MAX) {
    return bad("num_blocks", config.num_blocks, "at least 2 (block 0 is never handed out)");
  }
  if (config.max_num_seqs < 1) return bad("max_num_seqs", config.max_num_seqs, "at least 1");
  if (config.max_model_len < 2) return bad("max_model_len", config.max_model_len, "at least 2");
  if (config.max_num_batched_tokens < config.max_num_seqs) {
    return bad("max_num_batched_tokens", config.max_num_batched_tokens,
               "at least max_num_seqs (" + std::to_string(config.max_num_seqs) + ")",
               "a step must have a token for each running request");
  }
  if (!config.enable_chunked_prefill && config.max_num_batched_tokens < config.max_model_len) {
    return bad("max_num_batched_tokens", config.max_num_batched_tokens,
               "at least max_model_len (" + std::to_string(config.max_model_len) + ")",
               "without chunked prefill a prompt must fit into one step");
  }
  if (config.long_prefill_token_threshold < 0 ||
      config.long_prefill_token_threshold > config.max_model_len) {
    return bad("long_prefill_token_threshold", config.long_prefill_token_threshold,
               "0 (off) to max_model_len (" + std::to_string(config.max_model_len) + ")");
  }
  if (config.watermark_blocks < 0 || config.watermark_blocks >= config.num_blocks) {
    return bad("watermark_blocks", config.watermark_blocks,
               "0 to num_blocks - 1 (" + std::to_string(config.num_blocks - 1) + ")");
  }
  const int64_t needed =
      (int64_t{config.max_model_len} + config.block_size - 1) / config.block_size;
  if (config.num_blocks - 1 < needed) {
    return bad("num_blocks", config.num_blocks,
               "at least " + std::to_string(needed + 1) + " for one request of max_model_len (" +
                   std::to_string(config.max_model_len) + ") tokens",
               "give more blocks or lower max_model_len");
  }
  return {};
}

}  // namespace touchstone::scheduler
