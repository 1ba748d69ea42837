#include "cli/generated_load.h"

#include <cstdint>
#include <map>
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

/// Of a flag; at least `least_ns`.
Status read_duration(const std::string& where, const std::string& text, int64_t least_ns,
                     int64_t& duration_ns) {
  const auto read = parse_duration_ns(text);
  if (!read) return Error(read.error()).with_context(where);
  if (*read < least_ns) {
    return invalid_argument(where + ": got " + quote(text) + ", expected a longer time");
  }
  duration_ns = *read;
  return {};
}

void add_arrival_flags(CLI::App& app, GeneratedLoad& load) {
  workload::GenerateOptions& options = load.options;
  app.add_option("--requests", options.requests, "Generate this many requests, of random tokens")
      ->check(CLI::Range(1, 100000000));
  app.add_option("--rate", options.rate_per_s, "Generated: requests per second")
      ->check(CLI::Range(1e-6, 1e6))
      ->capture_default_str();
  app.add_option("--distribution", load.distribution, "Generated: of the gaps between arrivals")
      ->check(CLI::IsMember({"poisson", "constant", "gamma", "markov", "diurnal"}))
      ->capture_default_str();
  app.add_option("--burstiness", options.gap_variation,
                 "Generated, gamma: deviation of the gaps over their mean")
      ->check(CLI::Range(1e-3, 1e3))
      ->capture_default_str();
  app.add_option("--burst-factor", options.burst_factor,
                 "Generated, markov: rate in a burst over the rate when calm")
      ->check(CLI::Range(1.0, 1e6))
      ->capture_default_str();
  app.add_option("--burst-share", options.burst_share, "Generated, markov: of the time, in bursts")
      ->check(CLI::Range(1e-6, 1 - 1e-6))
      ->capture_default_str();
  app.add_option("--burst", load.burst, "Generated, markov: mean length of a burst")
      ->capture_default_str();
  app.add_option("--swing", options.swing,
                 "Generated, diurnal: how far the rate rises and falls, as a share of its mean")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  app.add_option("--period", load.period, "Generated, diurnal: of one rise and fall")
      ->capture_default_str();
}

/// Lengths, and what prompts share.
void add_prompt_flags(CLI::App& app, GeneratedLoad& load) {
  workload::GenerateOptions& options = load.options;
  app.add_option("--prompt-tokens", load.prompt_tokens,
                 "Generated: length or range; in sessions, of what a turn adds")
      ->capture_default_str();
  app.add_option("--output-tokens", load.output_tokens, "Generated: length or range")
      ->capture_default_str();
  app.add_option("--prefixes", options.prefixes, "Generated: prompts begin with one of so many")
      ->check(CLI::Range(0, 1000000))
      ->capture_default_str();
  app.add_option("--prefix-tokens", options.prefix_tokens, "Generated: length of each such prefix")
      ->check(CLI::Range(0, 10000000))
      ->capture_default_str();
  app.add_option("--prefix-percent", options.prefix_percent,
                 "Generated: how many of a hundred prompts begin with one")
      ->check(CLI::Range(0, 100))
      ->capture_default_str();
}

void add_client_flags(CLI::App& app, GeneratedLoad& load) {
  workload::GenerateOptions& options = load.options;
  app.add_option("--turns", load.turns,
                 "Generated: turns of a session, a number or a range; each prompt repeats what was "
                 "said before")
      ->capture_default_str();
  app.add_option("--turn-think-time", load.think_time,
                 "Generated: mean time from an answer to the session's next turn")
      ->capture_default_str();
  app.add_option("--context-tokens", options.context_tokens,
                 "Generated: a session ends before a longer prompt; 0: never")
      ->check(CLI::Range(0, INT32_MAX))
      ->capture_default_str();
  app.add_option("--tenants", options.tenants, "Generated: so many, the k-th with weight 1/k")
      ->check(CLI::Range(0, 1000000))
      ->capture_default_str();
  app.add_option("--priorities", options.priorities, "Generated: so many, 0 and up, equally often")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--hang-up-percent", options.hang_up_percent,
                 "Generated: how many of a hundred clients go away within their answer")
      ->check(CLI::Range(0, 100))
      ->capture_default_str();
}

}  // namespace

void add_generated_load(CLI::App& app, GeneratedLoad& load) {
  add_arrival_flags(app, load);
  add_prompt_flags(app, load);
  add_client_flags(app, load);
}

std::string GeneratedLoad::describe() const {
  return "generated load, " + distribution + " arrivals, " + format_double(options.rate_per_s) +
         " requests/s";
}

Result<workload::GenerateOptions> resolve(const GeneratedLoad& load, const std::string& verb,
                                          uint64_t seed) {
  using Arrivals = workload::GenerateOptions::Arrivals;
  workload::GenerateOptions options = load.options;
  options.seed = seed;
  static const std::map<std::string, Arrivals> kByName = {{"poisson", Arrivals::kPoisson},
                                                          {"constant", Arrivals::kConstant},
                                                          {"gamma", Arrivals::kGamma},
                                                          {"markov", Arrivals::kMarkov},
                                                          {"diurnal", Arrivals::kDiurnal}};
  options.arrivals = kByName.at(load.distribution);
  const auto prompts = parse_lengths(verb + ": --prompt-tokens", load.prompt_tokens);
  if (!prompts) return prompts.error();
  const auto outputs = parse_lengths(verb + ": --output-tokens", load.output_tokens);
  if (!outputs) return outputs.error();
  options.prompt_tokens = *prompts;
  options.output_tokens = *outputs;
  const auto turns = parse_lengths(verb + ": --turns", load.turns);
  if (!turns) return turns.error();
  options.turns = *turns;
  RETURN_IF_ERROR(
      read_duration(verb + ": --turn-think-time", load.think_time, 0, options.think_time_ns));
  RETURN_IF_ERROR(read_duration(verb + ": --burst", load.burst, 1, options.burst_ns));
  RETURN_IF_ERROR(read_duration(verb + ": --period", load.period, 1, options.period_ns));
  const Status valid = workload::validate(options);
  if (!valid) return Error(valid.error()).with_context(verb);
  return options;
}

}  // namespace touchstone::cli
