#include "workload/generate.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "base/text.h"

namespace touchstone::workload {
namespace {

Error bad(const char* option, const std::string& got, const std::string& expected) {
  return invalid_argument(std::string("generate: ") + option + ": got " + got + ", expected " +
                          expected);
}

Status check_range(const char* option, const LengthRange& range, int64_t most) {
  if (range.low < 1 || range.high < range.low || range.high > most) {
    return bad(option, std::to_string(range.low) + " to " + std::to_string(range.high),
               "a range within 1 to " + std::to_string(most));
  }
  return {};
}

Status check_within(const char* option, int64_t got, int64_t low, int64_t high) {
  if (got >= low && got <= high) return {};
  return bad(option, std::to_string(got), std::to_string(low) + " to " + std::to_string(high));
}

/// Sessions come more rarely than requests, by as many turns as one has on average.
ArrivalOptions of_sessions(const GenerateOptions& o) {
  const double turns = static_cast<double>(o.turns.low + o.turns.high) / 2;
  return {.process = o.arrivals,
          .rate_per_s = o.rate_per_s / turns,
          .gap_variation = o.gap_variation,
          .burst_factor = o.burst_factor,
          .burst_share = o.burst_share,
          .burst_ns = o.burst_ns,
          .swing = o.swing,
          .period_ns = o.period_ns};
}

std::string padded_number(const char* prefix, int64_t number) {
  std::string digits = std::to_string(number);
  return prefix + digits.insert(0, digits.size() < 6 ? 6 - digits.size() : 0, '0');
}

}  // namespace

Status validate(const GenerateOptions& o) {
  if (o.requests < 1) return bad("requests", std::to_string(o.requests), "at least 1");
  RETURN_IF_ERROR(check_range("prompt_tokens", o.prompt_tokens, INT32_MAX));
  RETURN_IF_ERROR(check_range("output_tokens", o.output_tokens, INT32_MAX));
  RETURN_IF_ERROR(check_range("turns", o.turns, 1'000'000));
  RETURN_IF_ERROR(validate(of_sessions(o)));
  RETURN_IF_ERROR(check_within("prefixes", o.prefixes, 0, INT64_MAX));
  RETURN_IF_ERROR(check_within("prefix_percent", o.prefix_percent, 0, 100));
  RETURN_IF_ERROR(check_within("prefix_block_size", o.prefix_block_size, 1, INT32_MAX));
  RETURN_IF_ERROR(check_within("think_time_ns", o.think_time_ns, 0, INT64_MAX / 4));
  RETURN_IF_ERROR(check_within("context_tokens", o.context_tokens, 0, INT32_MAX));
  RETURN_IF_ERROR(check_within("tenants", o.tenants, 0, 1'000'000));
  RETURN_IF_ERROR(check_within("priorities", o.priorities, 1, 1000));
  RETURN_IF_ERROR(check_within("hang_up_percent", o.hang_up_percent, 0, 100));
  if (o.prefix_tokens < 0 || (o.prefixes > 0 && o.prefix_tokens >= o.prompt_tokens.high)) {
    return bad("prefix_tokens", std::to_string(o.prefix_tokens),
               "fewer than the longest prompt has (" + std::to_string(o.prompt_tokens.high) + ")");
  }
  return {};
}

Generator::Generator(const GenerateOptions& options)
    : options_(options),
      arrivals_(of_sessions(options), options.seed),
      lengths_(options.seed, "workload lengths"),
      sharing_(options.seed, "workload prefixes"),
      sessions_(options.seed, "workload sessions"),
      clients_(options.seed, "workload clients") {
  BASE_CHECK(validate(options).has_value());
}

Generator::Session Generator::begin_session() {
  Session session;
  session.number = begun_++;
  session.arrival_ns = arrivals_.next_ns();
  if (has_sessions()) {
    session.turns_left = sessions_.between(options_.turns.low, options_.turns.high);
  }
  if (options_.tenants > 0) {
    double weights = 0;
    for (int64_t k = 1; k <= options_.tenants; ++k) weights += 1 / static_cast<double>(k);
    double at = clients_.uniform() * weights;
    int64_t tenant = 1;
    while (tenant < options_.tenants && (at -= 1 / static_cast<double>(tenant)) >= 0) ++tenant;
    session.tenant = "tenant-" + std::to_string(tenant);
  }
  return session;
}

Result<bool> Generator::next(Request& request) {
  if (made_ == options_.requests) return false;
  if (!next_) next_ = begin_session();
  if (!going_on_.empty() && going_on_.top().arrival_ns < next_->arrival_ns) {
    Session session = going_on_.top();
    going_on_.pop();
    give_turn(session, request);
    follow(std::move(session), request);
    return true;
  }
  Session session = std::move(*next_);
  next_.reset();
  if (options_.prefixes > 0) {
    const bool shares = sharing_.chance(static_cast<uint64_t>(options_.prefix_percent), 100);
    const uint64_t prefix = sharing_.below(static_cast<uint64_t>(options_.prefixes));
    if (shares) session.prefix = prefix;
  }
  give_turn(session, request);
  follow(std::move(session), request);
  return true;
}

void Generator::give_turn(const Session& session, Request& request) {
  request = Request{};
  request.name = padded_number("g", made_++);
  request.arrival_ns = session.arrival_ns;
  request.prompt_tokens = session.said_tokens +
                          lengths_.between(options_.prompt_tokens.low, options_.prompt_tokens.high);
  request.output_tokens = lengths_.between(options_.output_tokens.low, options_.output_tokens.high);
  request.sampling.ignore_eos = true;
  request.tenant = session.tenant;
  if (options_.priorities > 1) request.priority = clients_.between(0, options_.priorities - 1);
  if (has_sessions()) {
    request.session = padded_number("s", static_cast<int64_t>(session.number));
    request.turn = session.turn;
    request.think_ns = session.think_ns;
  }
  if (clients_.chance(static_cast<uint64_t>(options_.hang_up_percent), 100)) {
    request.stream = true;
    request.hang_up_after_chunks = clients_.between(1, request.output_tokens);
  }
  share_blocks(session, request);
}

/// The blocks of the shared prefix, then those of what the session has said, this turn included.
void Generator::share_blocks(const Session& session, Request& request) {
  const int64_t size = options_.prefix_block_size;
  const int64_t prefix =
      session.prefix ? std::min(options_.prefix_tokens, request.prompt_tokens - 1) / size : 0;
  const int64_t own = has_sessions() ? request.prompt_tokens / size - prefix : 0;
  if (session.prefix || own > 0) request.prefix_block_size = size;
  const auto name = [&](uint64_t space, uint64_t block) {
    // 63 bits, as JSON readers keep them exactly as a signed integer.
    uint64_t state = options_.seed ^ (space << 32) ^ block;
    request.prefix_block_ids.push_back(splitmix64(state) >> 1);
  };
  for (int64_t block = 0; block < prefix; ++block) {
    name(*session.prefix, static_cast<uint64_t>(block));
  }
  for (int64_t block = 0; block < own; ++block) {
    name(static_cast<uint64_t>(options_.prefixes) + 1 + session.number,
         static_cast<uint64_t>(prefix + block));
  }
}

void Generator::follow(Session session, const Request& request) {
  if (--session.turns_left < 1) return;
  const bool goes_away = request.hang_up_after_chunks.has_value();
  session.said_tokens = request.prompt_tokens + request.output_tokens;
  const int64_t longest = session.said_tokens + options_.prompt_tokens.high;
  const int64_t limit = options_.context_tokens > 0 ? options_.context_tokens : INT32_MAX;
  if (goes_away || longest > limit) return;
  ++session.turn;
  const double think_ns = options_.think_time_ns > 0
                              ? sessions_.exponential(static_cast<double>(options_.think_time_ns))
                              : 0;
  session.think_ns = static_cast<int64_t>(think_ns < 9e18 ? think_ns : 9e18);
  if (*session.think_ns > INT64_MAX - session.arrival_ns) return;
  session.arrival_ns += *session.think_ns;
  going_on_.push(std::move(session));
}

Result<Workload> generate(const GenerateOptions& options) {
  RETURN_IF_ERROR(validate(options));
  Workload workload;
  Generator generator(options);
  Request request;
  for (;;) {
    const auto there = generator.next(request);
    if (!there) return there.error();
    if (!*there) return workload;
    workload.requests.push_back(request);
  }
}

}  // namespace touchstone::workload
