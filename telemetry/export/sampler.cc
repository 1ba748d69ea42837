#include "telemetry/export/sampler.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "base/sha256.h"
#include "base/text.h"
#include "telemetry/dialects/request_group.h"

namespace touchstone::telemetry {
namespace {

/// As random as a digest, and the same for every choice of a request.
TraceId trace_id_of(const records::RequestRecord& record) {
  const Sha256Digest digest =
      sha256(response_id_of(record) + "/" + std::to_string(record.arrival_unix_ns) + "/" +
             std::to_string(record.arrival_ns));
  TraceId id;
  std::copy_n(digest.begin(), id.bytes.size(), id.bytes.begin());
  return id;
}

}  // namespace

Result<Sampler> Sampler::from(const Environment& environment) {
  Sampler sampler;
  const auto name = lookup(environment, "OTEL_TRACES_SAMPLER");
  if (!name) return sampler;
  constexpr std::string_view kParentBased = "parentbased_";
  const std::string word = to_lower(*name);
  sampler.parent_based_ = word.starts_with(kParentBased);
  const std::string rule = sampler.parent_based_ ? word.substr(kParentBased.size()) : word;
  if (rule == "always_on") {
    sampler.root_ = Rule::kOn;
  } else if (rule == "always_off") {
    sampler.root_ = Rule::kOff;
  } else if (rule == "traceidratio") {
    sampler.root_ = Rule::kRatio;
  } else {
    return invalid_argument("OTEL_TRACES_SAMPLER: got " + quote(*name) +
                            ", expected always_on, always_off, traceidratio, or one of them after "
                            "parentbased_");
  }
  if (sampler.root_ != Rule::kRatio) return sampler;
  const std::string argument = lookup(environment, "OTEL_TRACES_SAMPLER_ARG").value_or("1.0");
  const auto ratio = parse_double(argument);
  if (!ratio || !(*ratio >= 0 && *ratio <= 1)) {
    return invalid_argument("OTEL_TRACES_SAMPLER_ARG: got " + quote(argument) +
                            ", expected a ratio from 0 to 1");
  }
  sampler.bound_ = *ratio == 1 ? UINT64_MAX : static_cast<uint64_t>(std::ldexp(*ratio, 64));
  return sampler;
}

bool Sampler::takes(const TraceId& id) const {
  if (root_ != Rule::kRatio) return root_ == Rule::kOn;
  uint64_t low = 0;
  for (size_t i = 8; i < id.bytes.size(); ++i) low = low << 8 | id.bytes[i];
  return bound_ == UINT64_MAX || low < bound_;
}

std::optional<records::RequestRecord> Sampler::decide(const records::RequestRecord& record) const {
  records::RequestRecord seen = record;
  if (seen.trace && parent_based_) return seen;  // its flags say
  if (seen.trace) {
    if (!takes(seen.trace->trace_id)) return std::nullopt;
    seen.trace->flags |= 1;
    return seen;
  }
  if (!seen.own_trace_id && root_ == Rule::kRatio) seen.own_trace_id = trace_id_of(seen);
  if (!takes(seen.own_trace_id.value_or(TraceId{}))) return std::nullopt;
  return seen;
}

}  // namespace touchstone::telemetry
