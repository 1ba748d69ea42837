// The command line of `vllm serve` in the form that the parser of flags takes.
// Source: vLLM 0.32.0 utils/argparse_utils.py (FlexibleArgumentParser).
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "base/result.h"

namespace touchstone::cli {

/// `words` follow the verb. Underscores in flags become dashes, short names that vLLM has beside
/// the long ones ("-tp") the long ones, "--some-config.key value" "--some-config value", "-O3"
/// "--optimization-level 3". `--config FILE.yaml` is replaced by the flags that the file holds and
/// the command line does not; a `model` of the file counts when no model stands in `words`.
/// `app`: the verb with its flags. ERRORS: the file cannot be read, is no flat YAML of flags, or
/// has a key that is no flag.
Result<std::vector<std::string>> serve_arguments(const std::vector<std::string>& words,
                                                 const CLI::App& app);

}  // namespace touchstone::cli
