// What a workload is like: rates, lengths, burstiness, what its prompts share. One pass in bounded
// memory whatever the length: quantiles come from a sketch with a stated error, shared blocks from
// a sample of the ids once there are many. Thread-compatible.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "workload/request_reader.h"

namespace touchstone::workload {

/// Counts of positive numbers in bins of equal relative width. Any quantile is within kError of a
/// value of the sample at that rank; mean, least and most are exact.
class LengthSketch final {
 public:
  static constexpr double kError = 0.005;  ///< relative
  void add(double value);
  int64_t count() const { return count_; }
  double sum() const { return sum_; }
  double mean() const { return count_ == 0 ? 0 : sum_ / static_cast<double>(count_); }
  double least() const { return least_; }
  double most() const { return most_; }
  /// REQUIRES: count() > 0, 0 <= q <= 1.
  double quantile(double q) const;

 private:
  std::map<int32_t, int64_t> bins_;
  int64_t count_ = 0;
  int64_t zeros_ = 0;
  double sum_ = 0;
  double least_ = 0;
  double most_ = 0;
};

/// How often blocks of prompts come again: the hits of a prefix cache without end.
class ReuseSketch final {
 public:
  static constexpr size_t kMostIds = size_t{1} << 20;
  void add(const Request& request);
  int64_t blocks() const { return blocks_; }
  /// Of the named blocks, those seen before; nullopt without any.
  std::optional<double> share() const;
  /// Of all prompt tokens.
  std::optional<double> share_of_tokens() const;
  bool sampled() const { return shift_ > 0; }

 private:
  void halve();

  std::unordered_map<uint64_t, int64_t> seen_;  // sampled id → times; looked up and summed only
  int shift_ = 0;                               // ids with so many leading zero bits are kept
  int64_t blocks_ = 0;
  int64_t block_tokens_ = 0;
  int64_t prompt_tokens_ = 0;
};

struct Description {
  int64_t requests = 0;
  int64_t first_ns = 0;
  int64_t last_ns = 0;
  LengthSketch prompt_tokens;
  LengthSketch output_tokens;
  double gap_variation = 0;  ///< deviation of the gaps between arrivals over their mean; Poisson: 1
  /// Requests of one slot of time, `slot_ns` long; at most kMostSlots of them.
  std::vector<int64_t> slots;
  int64_t slot_ns = 1'000'000'000;
  /// Variance of the requests a slot over their mean, whole slots only; Poisson: 1.
  std::optional<double> dispersion;
  ReuseSketch reuse;
  int64_t sessions = 0;  ///< at most kMostNames are told apart, here and below
  int64_t later_turns = 0;
  std::map<std::string, int64_t> tenants;  ///< requests
  std::map<int64_t, int64_t> priorities;   ///< requests
  int64_t hang_ups = 0;
  int64_t unknown_lengths = 0;  ///< requests without the length of prompt or answer
  std::string left_out;

  static constexpr size_t kMostSlots = 4096;
  static constexpr size_t kMostNames = 100'000;
  double rate_per_s() const;
};

/// ERRORS: those of the reader; kInvalidArgument when there is no request.
Result<Description> describe(RequestReader& reader);

}  // namespace touchstone::workload
