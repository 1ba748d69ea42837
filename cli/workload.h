// `touchstone workload`: traces and workloads described, converted, changed and generated.
#pragma once

#include "cli/verb.h"

namespace touchstone::cli {

Verb workload_verb();

}  // namespace touchstone::cli
