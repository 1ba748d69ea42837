// `touchstone sweep`: every combination of a grid of flags, on all cores, resumable.
#pragma once

#include "cli/verb.h"

namespace touchstone::cli {

Verb sweep_verb();

}  // namespace touchstone::cli
