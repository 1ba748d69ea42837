// The layout before tokenizer.json, in which GPT-2 and OPT were published: vocab.json, merges.txt
// and the special tokens in tokenizer_config.json. Source: transformers 5.24
// models/gpt2/tokenization_gpt2.py and what it makes of such a folder. Thread-safe.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "base/result.h"

namespace touchstone::tokenizer {

/// The tokenizer.json that stands for the files of `folder`. `config`: tokenizer_config.json, null
/// when there is none.
/// ERRORS: kNotFound when vocab.json or merges.txt is missing; kMalformed with the file and place.
Result<nlohmann::json> tokenizer_json_of_files(const std::string& folder,
                                               const nlohmann::json& config);

}  // namespace touchstone::tokenizer
