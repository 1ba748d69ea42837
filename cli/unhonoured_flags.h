// The flags of `vllm serve` 0.32.0 that this server knows and does not act on: accepted aloud where
// they cannot change an answer, refused with the reason where they would. Together with the flags
// that serve.cc registers they are all of vLLM's, so that none is "unknown".
// Source: vLLM 0.32.0 engine/arg_utils.py, entrypoints/launchers/cli_args.py.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace touchstone::cli {

struct UnhonouredFlag {
  const char* name;        ///< "--tensor-parallel-size"
  const char* alias = "";  ///< vLLM's short name, "-tp", or another long one
  enum class Kind {
    kSwitch,  ///< has a --no- twin, which asks for nothing and is accepted
    kValue
  } kind = Kind::kValue;
  /// Values that cannot change an answer, separated by '|'; "*": any; "": the flag is refused. A
  /// switch has the value "true".
  const char* harmless = "";
  const char* reason;
  /// vLLM's default is on: what is refused or accepted is the --no- twin.
  bool on_by_default = false;
};

/// All rows, by topic.
std::vector<UnhonouredFlag> unhonoured_flags();
std::span<const UnhonouredFlag> unhonoured_engine_flags();    // unhonoured_engine.cc
std::span<const UnhonouredFlag> unhonoured_hardware_flags();  // unhonoured_hardware.cc
std::span<const UnhonouredFlag> unhonoured_server_flags();    // unhonoured_server.cc

/// What was given of them: by flag, its values.
using UnhonouredValues = std::map<std::string, std::vector<std::string>>;

/// Registers them, hidden from the help. `values` outlives the parsing.
void add_unhonoured_flags(CLI::App& app, UnhonouredValues& values);
/// Calls `say` with a line for each that is accepted. ERRORS: kInvalidArgument: one is refused.
Status check_unhonoured(const UnhonouredValues& values,
                        const std::function<void(const std::string&)>& say);

}  // namespace touchstone::cli
