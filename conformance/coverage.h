// How often each attribute of a profile is there. Pure; one thread.
#pragma once

#include <vector>

#include "conformance/observed.h"
#include "conformance/profile/profile.h"
#include "result/result_model.h"

namespace touchstone::conformance {

/// One row for each attribute rule of each span type that occurs and of the resources; then one
/// for each key that no rule names, with level MAY. Attributes that may be absent have level MAY.
std::vector<result::CoverageRow> attribute_coverage(const SpanIndex& index, const Profile& profile);

}  // namespace touchstone::conformance
