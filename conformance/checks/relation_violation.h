// A relation that does not hold, as the checks within one span and across spans report it. Pure.
#pragma once

#include <string>

#include "conformance/checks/check.h"
#include "conformance/profile/relation.h"

namespace touchstone::conformance {

/// `type`: the name of the span type whose rule it is. The place is the caller's.
Violation relation_violation(const Relation& relation, const RelationValues& values,
                             const std::string& type);

}  // namespace touchstone::conformance
