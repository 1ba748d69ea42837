// A flag that takes a duration such as 30s. Thread-compatible.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

namespace touchstone::cli {

/// Adds `--name`, with the default that `target_ns` has now in its help. Zero and less are refused.
void add_duration_flag(CLI::App& app, const std::string& name, int64_t& target_ns,
                       const std::string& help);

}  // namespace touchstone::cli
