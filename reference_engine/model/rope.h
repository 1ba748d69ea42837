// Rotary embedding as config.json describes it: rope_theta, rope_scaling (transformers 4),
// rope_parameters (5). Source: transformers 5.x modeling_rope_utils.py. Pure.
#pragma once

#include "base/document.h"
#include "base/result.h"
#include "reference_engine/model/config.h"

namespace touchstone::model {

/// Sets spec.rope for the types default, linear, dynamic, yarn and llama3, and multiplies
/// max_position_embeddings by the factor of those that stretch it, as vLLM derives its longest
/// sequence. "dynamic" has one table for all lengths, the one of its longest sequence: transformers
/// changes it with the length, after which cached keys no longer fit to queries.
/// REQUIRES: head_dim and max_position_embeddings are read. ERRORS: kUnsupported naming the key.
Status read_rope(const Fields& root, Config& config);

}  // namespace touchstone::model
