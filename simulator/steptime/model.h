// How long a step takes. One file a model; parse.h has the table.
// A model has no state: the same work and the same draws give the same time, whatever was asked
// before, so that one model serves several replicas. Thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/random.h"
#include "records/step_log.h"
#include "reference_engine/scheduler/types.h"

namespace touchstone::simulator {

/// What of a step its time may depend on. A request with one scheduled token counts as decode
/// whatever the token is, because the work is the same.
struct StepFeatures {
  int64_t step = 0;
  int64_t prefill_requests = 0;
  int64_t prefill_tokens = 0;
  int64_t decode_requests = 0;
  int64_t sampled_requests = 0;   ///< that yield a token
  int64_t context_tokens = 0;     ///< over decode requests: tokens their attention reads
  int64_t longest_context = 0;    ///< of one of them
  int64_t prefill_attention = 0;  ///< over prefill: pairs of a computed token and one it reads
};

StepFeatures features_of(const scheduler::StepPlan& plan);
StepFeatures features_of(const records::StepRecord& step);

/// The work for which a model was made: each feature within a closed range. Outside of it a time
/// is an extrapolation.
struct Validity {
  StepFeatures low;  ///< as it is, every step is inside
  StepFeatures high = {.step = INT64_MAX,
                       .prefill_requests = INT64_MAX,
                       .prefill_tokens = INT64_MAX,
                       .decode_requests = INT64_MAX,
                       .sampled_requests = INT64_MAX,
                       .context_tokens = INT64_MAX,
                       .prefill_attention = INT64_MAX};

  bool contains(const StepFeatures& features) const;
  /// Widens the range so that it contains `features`; `step` is not widened.
  void include(const StepFeatures& features);
};

/// What varies by chance, a replica's own: its stream, and what of it lasts from step to step.
struct StepNoise {
  StepNoise(uint64_t seed, std::string_view name) : random(seed, name) {}
  RandomStream random;
  std::optional<double> level;  ///< of the latest step, in standard deviations; nullopt: none yet
};

/// What lies between a client and the engine. Neither part takes time from the steps.
struct FrontendLatency {
  double in_ns = 0;                   ///< from a request's arrival to the engine
  double in_ns_per_prompt_token = 0;  ///< more of it for each
  double out_ns = 0;                  ///< from the end of a step to the client
  double out_ns_per_stream = 0;       ///< more of it for each request that got a token then

  bool is_zero() const {
    return in_ns == 0 && in_ns_per_prompt_token == 0 && out_ns == 0 && out_ns_per_stream == 0;
  }
};

class StepTimeModel {
 public:
  virtual ~StepTimeModel() = default;
  /// At least 1 ns: a step that takes no time would let virtual time stand still. INT64_MAX when
  /// the model's time does not fit.
  virtual int64_t duration_ns(const StepFeatures& features, StepNoise& noise) const = 0;
  virtual Validity validity() const = 0;
  virtual FrontendLatency frontend() const { return {}; }
  /// For reports: "constant 20 ms", coefficients, ….
  virtual std::string describe() const = 0;
};

}  // namespace touchstone::simulator
