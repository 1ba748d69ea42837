// `touchstone plan`: the smallest and the cheapest fleet that keeps latency limits under a trace.
#pragma once

#include "cli/verb.h"

namespace touchstone::cli {

Verb plan_verb();

}  // namespace touchstone::cli
