// `touchstone simulate`: a workload or a measured run through the scheduler in virtual time.
#pragma once

#include "cli/verb.h"

namespace touchstone::cli {

Verb simulate_verb();

}  // namespace touchstone::cli
