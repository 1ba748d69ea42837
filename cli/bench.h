// `touchstone bench run|compare`. Thread-compatible.
#pragma once

#include "cli/verb.h"

namespace touchstone::cli {

Verb bench_verb();

}  // namespace touchstone::cli
