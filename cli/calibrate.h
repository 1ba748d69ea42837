// `touchstone calibrate`: step times learned from measured runs.
#pragma once

#include "cli/verb.h"

namespace touchstone::cli {

Verb calibrate_verb();

}  // namespace touchstone::cli
