// docs/compatibility.md, made from the tables that the server works by: flags, environment
// variables, fields of requests, endpoints and metrics of vLLM 0.32.0, each with its state here.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace touchstone::cli {

/// `serve`: the verb with its flags.
std::string compatibility_text(const CLI::App& serve);

}  // namespace touchstone::cli
