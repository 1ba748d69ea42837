#include "workload/describe.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <set>

#include "base/check.h"
#include "base/portable_math.h"
#include "base/random.h"

namespace touchstone::workload {
namespace {

// Bins of width (1 + e) / (1 - e): the middle of a bin is within e of all that is in it.
const double kLogWidth = portable_log((1 + LengthSketch::kError) / (1 - LengthSketch::kError));

uint64_t mixed(uint64_t id) { return splitmix64(id); }

/// Mean and variance of what is added, in one pass (Welford).
class Moments final {
 public:
  void add(double x) {
    ++count_;
    const double off = x - mean_;
    mean_ += off / static_cast<double>(count_);
    squares_ += off * (x - mean_);
  }
  double mean() const { return mean_; }
  double variance() const { return count_ < 2 ? 0 : squares_ / static_cast<double>(count_ - 1); }

 private:
  int64_t count_ = 0;
  double mean_ = 0;
  double squares_ = 0;
};

/// Counts in slots that get longer when there would be too many.
void count_in_slot(int64_t time_ns, Description& d) {
  while (static_cast<size_t>(time_ns / d.slot_ns) >= Description::kMostSlots) {
    for (size_t i = 0; i < d.slots.size(); i += 2) {
      d.slots[i / 2] = d.slots[i] + (i + 1 < d.slots.size() ? d.slots[i + 1] : 0);
    }
    d.slots.resize((d.slots.size() + 1) / 2);
    d.slot_ns *= 2;
  }
  const auto slot = static_cast<size_t>(time_ns / d.slot_ns);
  if (slot >= d.slots.size()) d.slots.resize(slot + 1);
  ++d.slots[slot];
}

}  // namespace

void LengthSketch::add(double value) {
  least_ = count_ == 0 ? value : std::min(least_, value);
  most_ = std::max(most_, value);
  sum_ += value;
  ++count_;
  if (value > 0) {
    ++bins_[static_cast<int32_t>(std::ceil(portable_log(value) / kLogWidth))];
  } else {
    ++zeros_;
  }
}

double LengthSketch::quantile(double q) const {
  BASE_CHECK(count_ > 0 && q >= 0 && q <= 1);
  const auto rank = static_cast<int64_t>(q * static_cast<double>(count_ - 1));
  int64_t below = zeros_;
  if (rank < below) return 0;
  for (const auto& [bin, count] : bins_) {
    below += count;
    if (rank < below) {
      const double middle = portable_exp((bin - 0.5) * kLogWidth);
      return std::clamp(middle, least_, most_);
    }
  }
  return most_;
}

void ReuseSketch::add(const Request& request) {
  prompt_tokens_ += request.prompt_tokens;
  blocks_ += std::ssize(request.prefix_block_ids);
  block_tokens_ += std::ssize(request.prefix_block_ids) * request.prefix_block_size;
  for (const uint64_t id : request.prefix_block_ids) {
    if (std::countl_zero(mixed(id)) < shift_) continue;
    ++seen_[id];
    if (seen_.size() > kMostIds) halve();
  }
}

void ReuseSketch::halve() {
  ++shift_;
  std::erase_if(seen_,
                [this](const auto& item) { return std::countl_zero(mixed(item.first)) < shift_; });
}

std::optional<double> ReuseSketch::share() const {
  int64_t times = 0;
  for (const auto& [id, count] : seen_) times += count;
  if (times == 0) return std::nullopt;
  return 1 - static_cast<double>(seen_.size()) / static_cast<double>(times);
}

std::optional<double> ReuseSketch::share_of_tokens() const {
  const auto of_blocks = share();
  if (!of_blocks || prompt_tokens_ == 0) return std::nullopt;
  return *of_blocks * static_cast<double>(block_tokens_) / static_cast<double>(prompt_tokens_);
}

double Description::rate_per_s() const {
  const double seconds = static_cast<double>(last_ns - first_ns) * 1e-9;
  return seconds > 0 ? static_cast<double>(requests - 1) / seconds : 0;
}

Result<Description> describe(RequestReader& reader) {
  Description d;
  Request request;
  Moments gaps;
  std::set<std::string> sessions;
  for (;;) {
    const auto there = reader.next(request);
    if (!there) return there.error();
    if (!*there) break;
    if (d.requests == 0) d.first_ns = request.arrival_ns;
    if (d.requests > 0) gaps.add(static_cast<double>(request.arrival_ns - d.last_ns));
    d.last_ns = request.arrival_ns;
    ++d.requests;
    count_in_slot(request.arrival_ns - d.first_ns, d);
    if (request.prompt_tokens > 0) d.prompt_tokens.add(static_cast<double>(request.prompt_tokens));
    if (request.output_tokens > 0) d.output_tokens.add(static_cast<double>(request.output_tokens));
    d.unknown_lengths += request.prompt_tokens == 0 || request.output_tokens == 0;
    d.reuse.add(request);
    if (!request.session.empty() && sessions.size() < Description::kMostNames) {
      sessions.insert(request.session);
    }
    d.later_turns += request.turn > 0;
    if (d.tenants.size() < Description::kMostNames) ++d.tenants[request.tenant];
    if (d.priorities.size() < Description::kMostNames) ++d.priorities[request.priority];
    d.hang_ups += request.hang_up_after_chunks.has_value();
  }
  if (d.requests == 0) {
    return invalid_argument(reader.where() + ": got no request, expected one or more");
  }
  d.sessions = std::ssize(sessions);
  d.gap_variation = gaps.mean() > 0 ? std::sqrt(gaps.variance()) / gaps.mean() : 0;
  if (d.slots.size() > 2) {
    Moments in_slot;
    for (size_t i = 0; i + 1 < d.slots.size(); ++i) in_slot.add(static_cast<double>(d.slots[i]));
    if (in_slot.mean() > 0) d.dispersion = in_slot.variance() / in_slot.mean();
  }
  d.left_out = reader.left_out();
  return d;
}

}  // namespace touchstone::workload
