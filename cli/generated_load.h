// The flags of generated load, the same for every verb that sends or simulates one.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

#include "base/result.h"
#include "workload/generate.h"

namespace touchstone::cli {

struct GeneratedLoad {
  workload::GenerateOptions options;  ///< requests 0: none is wanted
  std::string distribution = "poisson";
  std::string prompt_tokens = "128-512";
  std::string output_tokens = "16-128";
  std::string turns = "1";
  std::string think_time = "0s";
  std::string burst = "30s";
  std::string period = "24h";

  bool wanted() const { return options.requests > 0; }
  /// "generated load, poisson arrivals, 4.5 requests/s"
  std::string describe() const;
};

/// Adds --requests, --rate, --distribution and the flags that shape arrivals, lengths, prefixes,
/// sessions and clients. `load` outlives the app.
void add_generated_load(CLI::App& app, GeneratedLoad& load);

/// The options with all flags read. ERRORS: kInvalidArgument `VERB: --flag: got X, expected Y`.
Result<workload::GenerateOptions> resolve(const GeneratedLoad& load, const std::string& verb,
                                          uint64_t seed);

}  // namespace touchstone::cli
