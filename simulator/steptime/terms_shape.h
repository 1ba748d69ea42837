// Step times as a sum of five costs (terms.h). Thread-safe.
#pragma once

#include <memory>

#include "simulator/steptime/shape.h"
#include "simulator/steptime/terms.h"

namespace touchstone::simulator {

/// `ns`: per unit of each term. REQUIRES: none is negative.
std::shared_ptr<const StepShape> make_terms_shape(const StepTerms& ns, const Validity& validity);

/// "281.751 us per step + 74.305 us per prefill token": those that are not zero.
std::string describe_terms(const StepTerms& ns);

}  // namespace touchstone::simulator
