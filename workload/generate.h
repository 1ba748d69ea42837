// Makes workloads from a seed: arrivals, lengths, shared prefixes, sessions, clients. Equal options
// give equal workloads on every machine. Thread-compatible.
#pragma once

#include <cstdint>
#include <optional>
#include <queue>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "base/result.h"
#include "workload/arrivals.h"
#include "workload/request_reader.h"
#include "workload/workload.h"

namespace touchstone::workload {

/// A closed range of lengths, drawn uniformly.
struct LengthRange {
  int64_t low = 1;
  int64_t high = 1;
};

struct GenerateOptions {
  using Arrivals = ArrivalOptions::Process;
  uint64_t seed = 0;
  int64_t requests = 0;
  Arrivals arrivals = Arrivals::kPoisson;
  double rate_per_s = 1;
  double gap_variation = 1;  ///< standard deviation of the gaps over their mean; kGamma only
  LengthRange prompt_tokens{.low = 128, .high = 512};  ///< new ones of a turn
  LengthRange output_tokens{.low = 16, .high = 128};
  /// Prefixes shared by several prompts; a request has one of them with `prefix_percent`, and then
  /// its own tokens (at least one) after it. In a session the first turn decides.
  int64_t prefixes = 0;
  int64_t prefix_tokens = 0;
  int64_t prefix_percent = 100;
  int64_t prefix_block_size = 16;

  /// Above 1: requests come in sessions of so many turns. A turn's prompt is all that was said
  /// before and its own tokens; it is sent when the answer before is there and the client has
  /// thought. The rate stays that of requests.
  LengthRange turns;
  int64_t think_time_ns = 0;    ///< mean, exponential
  int64_t context_tokens = 0;   ///< a session ends rather than to have a longer prompt; 0: no limit
  int64_t tenants = 0;          ///< tenant-1 to tenant-N, the k-th with weight 1/k (Zipf)
  int64_t priorities = 1;       ///< 0 to N - 1, equally often
  int64_t hang_up_percent = 0;  ///< clients that go away somewhere within their answer

  // kMarkov and kDiurnal: as ArrivalOptions.
  double burst_factor = ArrivalOptions().burst_factor;
  double burst_share = ArrivalOptions().burst_share;
  int64_t burst_ns = ArrivalOptions().burst_ns;
  double swing = ArrivalOptions().swing;
  int64_t period_ns = ArrivalOptions().period_ns;
};

/// ERRORS: kInvalidArgument naming the option.
Status validate(const GenerateOptions& options);

/// One request after the other, so that a long workload needs no memory: only sessions that have
/// begun are kept.
class Generator final : public RequestReader {
 public:
  /// REQUIRES: validate(options).
  explicit Generator(const GenerateOptions& options);
  Result<bool> next(Request& request) override;
  std::string where() const override { return "request " + std::to_string(made_); }

 private:
  /// A conversation before its next turn.
  struct Session {
    uint64_t number = 0;
    int64_t arrival_ns = 0;  ///< of the next turn, at the earliest
    std::optional<int64_t> think_ns;
    int64_t turn = 0;
    int64_t turns_left = 1;
    int64_t said_tokens = 0;  ///< prompts and answers before
    std::optional<uint64_t> prefix;
    std::string tenant;
  };
  struct Later {
    bool operator()(const Session& a, const Session& b) const {
      return std::pair(a.arrival_ns, a.number) > std::pair(b.arrival_ns, b.number);
    }
  };

  bool has_sessions() const { return options_.turns.high > 1; }
  Session begin_session();
  void give_turn(const Session& session, Request& request);
  void share_blocks(const Session& session, Request& request);
  void follow(Session session, const Request& request);

  const GenerateOptions options_;
  ArrivalProcess arrivals_;
  RandomStream lengths_;
  RandomStream sharing_;
  RandomStream sessions_;
  RandomStream clients_;
  std::priority_queue<Session, std::vector<Session>, Later> going_on_;
  std::optional<Session> next_;  ///< a new one, when sessions go on meanwhile
  int64_t made_ = 0;
  uint64_t begun_ = 0;
};

/// All requests of a generator. ERRORS: those of validate().
Result<Workload> generate(const GenerateOptions& options);

}  // namespace touchstone::workload
