// The table of model architectures: how each reads its keys of config.json into a shape and a spec,
// and what it refuses. A new one is one file with one function and one row in architectures.cc.
// Pure.
#pragma once

#include <string>
#include <vector>

#include "base/document.h"
#include "base/result.h"
#include "reference_engine/model/config.h"

namespace touchstone::model {

struct Architecture {
  const char* name;  ///< of config.json's "architectures"
  /// Fills shape and spec of `config`. Malformed fields are reported to `root`.
  /// ERRORS: kUnsupported naming the key whose meaning is not implemented.
  Status (*read)(const Fields& root, Config& config);
};

/// Null when there is none of that name.
const Architecture* find_architecture(const std::string& name);
std::vector<std::string> architecture_names();

/// llama.cc
Status read_llama(const Fields& root, Config& config);
/// mistral.cc
Status read_mistral(const Fields& root, Config& config);
/// opt.cc
Status read_opt(const Fields& root, Config& config);
/// qwen2.cc
Status read_qwen2(const Fields& root, Config& config);
/// qwen3.cc
Status read_qwen3(const Fields& root, Config& config);

}  // namespace touchstone::model
