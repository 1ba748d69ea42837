#include "workload/generate.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "base/clock.h"
#include "base/text.h"

namespace touchstone::workload {
namespace {

Error bad(const char* option, const std::string& got, const std::string& expected) {
  return invalid_argument(std::string("generate: ") + option + ": got " + got + ", expected " +
                          expected);
}

Status check_range(const char* option, const LengthRange& range) {
  if (range.low < 1 || range.high < range.low || range.high > INT32_MAX) {
    return bad(option, std::to_string(range.low) + " to " + std::to_string(range.high),
               "a range of lengths from 1 on");
  }
  return {};
}

}  // namespace

Status validate(const GenerateOptions& o) {
  if (o.requests < 1) return bad("requests", std::to_string(o.requests), "at least 1");
  if (!(o.rate_per_s > 0) || !std::isfinite(o.rate_per_s)) {
    return bad("rate_per_s", format_double(o.rate_per_s), "more than 0");
  }
  if (!(o.gap_variation > 0) || !std::isfinite(o.gap_variation)) {
    return bad("gap_variation", format_double(o.gap_variation), "more than 0");
  }
  RETURN_IF_ERROR(check_range("prompt_tokens", o.prompt_tokens));
  RETURN_IF_ERROR(check_range("output_tokens", o.output_tokens));
  if (o.prefixes < 0) return bad("prefixes", std::to_string(o.prefixes), "0 or more");
  if (o.prefix_percent < 0 || o.prefix_percent > 100) {
    return bad("prefix_percent", std::to_string(o.prefix_percent), "0 to 100");
  }
  if (o.prefix_block_size < 1) {
    return bad("prefix_block_size", std::to_string(o.prefix_block_size), "at least 1");
  }
  if (o.prefix_tokens < 0 || (o.prefixes > 0 && o.prefix_tokens >= o.prompt_tokens.high)) {
    return bad("prefix_tokens", std::to_string(o.prefix_tokens),
               "fewer than the longest prompt has (" + std::to_string(o.prompt_tokens.high) + ")");
  }
  return {};
}

Generator::Generator(const GenerateOptions& options)
    : options_(options),
      gaps_(options.seed, "workload arrivals"),
      lengths_(options.seed, "workload lengths"),
      sharing_(options.seed, "workload prefixes") {
  BASE_CHECK(validate(options).has_value());
}

double Generator::draw_gap_ns() {
  const double mean_ns = static_cast<double>(kNsPerSecond) / options_.rate_per_s;
  switch (options_.arrivals) {
    case GenerateOptions::Arrivals::kConstant:
      return mean_ns;
    case GenerateOptions::Arrivals::kPoisson:
      return gaps_.exponential(mean_ns);
    case GenerateOptions::Arrivals::kGamma: {
      const double variance = options_.gap_variation * options_.gap_variation;
      return gaps_.gamma(1 / variance, mean_ns * variance);
    }
  }
  BASE_CHECK(false, static_cast<int>(options_.arrivals));
}

/// The latest time there is when the gap leads beyond it.
int64_t Generator::next_arrival_ns() {
  const double gap_ns = draw_gap_ns();
  constexpr double kLongest = 9e18;
  const int64_t rounded_ns = gap_ns < kLongest ? std::llround(gap_ns) : INT64_MAX;
  return rounded_ns > INT64_MAX - now_ns_ ? INT64_MAX : now_ns_ + rounded_ns;
}

bool Generator::next(Request& request) {
  if (made_ == options_.requests) return false;
  now_ns_ = next_arrival_ns();
  request = Request{};
  std::string number = std::to_string(made_++);
  request.name = "g" + number.insert(0, number.size() < 6 ? 6 - number.size() : 0, '0');
  request.arrival_ns = now_ns_;
  request.prompt_tokens = lengths_.between(options_.prompt_tokens.low, options_.prompt_tokens.high);
  request.output_tokens = lengths_.between(options_.output_tokens.low, options_.output_tokens.high);
  request.sampling.ignore_eos = true;
  if (options_.prefixes == 0) return true;
  const bool shares = sharing_.chance(static_cast<uint64_t>(options_.prefix_percent), 100);
  const uint64_t prefix = sharing_.below(static_cast<uint64_t>(options_.prefixes));
  if (!shares) return true;
  const int64_t shared = std::min(options_.prefix_tokens, request.prompt_tokens - 1);
  request.prefix_block_size = options_.prefix_block_size;
  for (int64_t block = 0; block < shared / options_.prefix_block_size; ++block) {
    // 63 bits, as JSON readers keep them exactly as a signed integer.
    uint64_t state = options_.seed ^ (prefix << 32) ^ static_cast<uint64_t>(block);
    request.prefix_block_ids.push_back(splitmix64(state) >> 1);
  }
  return true;
}

Result<Workload> generate(const GenerateOptions& options) {
  RETURN_IF_ERROR(validate(options));
  Workload workload;
  Generator generator(options);
  Request request;
  while (generator.next(request)) workload.requests.push_back(request);
  return workload;
}

}  // namespace touchstone::workload
