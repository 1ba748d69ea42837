#include "cli/generated_load.h"

#include <vector>

#include "base/text.h"

namespace touchstone::cli {
namespace {

/// "64" or "16-128".
Result<workload::LengthRange> parse_lengths(const std::string& where, const std::string& text) {
  const std::vector<std::string> ends = split(text, '-');
  const auto low = parse_int(ends.front());
  const auto high = parse_int(ends.back());
  if (ends.size() > 2 || !low || !high || *low < 1 || *high < *low) {
    return invalid_argument(where + ": got " + quote(text) +
                            ", expected a number of tokens or a range like 16-128");
  }
  return workload::LengthRange{.low = *low, .high = *high};
}

}  // namespace

std::string GeneratedLoad::describe() const {
  return "generated load, " + distribution + " arrivals, " + format_double(options.rate_per_s) +
         " requests/s";
}

void add_generated_load(CLI::App& app, GeneratedLoad& load) {
  workload::GenerateOptions& options = load.options;
  app.add_option("--requests", options.requests, "Generate this many requests, of random tokens")
      ->check(CLI::Range(1, 100000000));
  app.add_option("--rate", options.rate_per_s, "Generated: requests per second")
      ->check(CLI::Range(1e-6, 1e6))
      ->capture_default_str();
  app.add_option("--distribution", load.distribution, "Generated: of the gaps between arrivals")
      ->check(CLI::IsMember({"poisson", "constant", "gamma"}))
      ->capture_default_str();
  app.add_option("--burstiness", options.gap_variation,
                 "Generated, gamma: deviation of the gaps over their mean")
      ->check(CLI::Range(1e-3, 1e3))
      ->capture_default_str();
  app.add_option("--prompt-tokens", load.prompt_tokens, "Generated: length or range")
      ->capture_default_str();
  app.add_option("--output-tokens", load.output_tokens, "Generated: length or range")
      ->capture_default_str();
  app.add_option("--prefixes", options.prefixes, "Generated: prompts begin with one of so many")
      ->check(CLI::Range(0, 1000000))
      ->capture_default_str();
  app.add_option("--prefix-tokens", options.prefix_tokens, "Generated: length of each such prefix")
      ->check(CLI::Range(0, 10000000))
      ->capture_default_str();
}

Result<workload::GenerateOptions> resolve(const GeneratedLoad& load, const std::string& verb,
                                          uint64_t seed) {
  using Arrivals = workload::GenerateOptions::Arrivals;
  workload::GenerateOptions options = load.options;
  options.seed = seed;
  options.arrivals = load.distribution == "poisson"    ? Arrivals::kPoisson
                     : load.distribution == "constant" ? Arrivals::kConstant
                                                       : Arrivals::kGamma;
  const auto prompts = parse_lengths(verb + ": --prompt-tokens", load.prompt_tokens);
  if (!prompts) return prompts.error();
  const auto outputs = parse_lengths(verb + ": --output-tokens", load.output_tokens);
  if (!outputs) return outputs.error();
  options.prompt_tokens = *prompts;
  options.output_tokens = *outputs;
  const Status valid = workload::validate(options);
  if (!valid) return Error(valid.error()).with_context(verb);
  return options;
}

}  // namespace touchstone::cli
