// The five costs of a step that every fitted model has: each is a time per unit of one of these.
// Pure; thread-safe.
#pragma once

#include <array>
#include <cstddef>

#include "simulator/steptime/model.h"

namespace touchstone::simulator {

inline constexpr size_t kStepTerms = 5;
inline constexpr std::array<const char*, kStepTerms> kStepTermNames = {
    "step", "prefill token", "decode request", "context token", "attention pair"};
/// Prompts' own: the others are what a step of decoding takes.
inline constexpr std::array<bool, kStepTerms> kStepTermOfPrefill = {false, true, false, false,
                                                                    true};
using StepTerms = std::array<double, kStepTerms>;

inline StepTerms step_terms(const StepFeatures& f) {
  return {1.0, static_cast<double>(f.prefill_tokens), static_cast<double>(f.decode_requests),
          static_cast<double>(f.context_tokens), static_cast<double>(f.prefill_attention)};
}

}  // namespace touchstone::simulator
