// The post-processor part of tokenizer.json: the special tokens before and after a text.
// Source: huggingface/tokenizers 0.23 processors/. Immutable after parse; thread-safe.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "reference_engine/tokenizer/part.h"

namespace touchstone::tokenizer {

struct PostProcessor {
  std::vector<int32_t> prefix;
  std::vector<int32_t> suffix;

  /// `part`: the value of "post_processor"; null: nothing is added. `vocab_size`: ids end here.
  /// ERRORS: kUnsupported naming the type, kMalformed; both with the place.
  static Result<PostProcessor> parse(const Part& part, int64_t vocab_size);
};

}  // namespace touchstone::tokenizer
