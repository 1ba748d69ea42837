// The scheduler's settings as flags, made from its field table. Thread-compatible.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "reference_engine/scheduler/config.h"

namespace touchstone::cli {

struct ConfigFlags {
  scheduler::Config defaults;              ///< for the help
  std::string else_than_default;           ///< "the run's, else ": where a value comes from first
  std::vector<std::string_view> left_out;  ///< names of fields that the verb sets in another way
};

/// `values` gets what was given; it outlives the parsing.
void add_config_flags(CLI::App& app, const ConfigFlags& flags, scheduler::FieldValues& values);

}  // namespace touchstone::cli
