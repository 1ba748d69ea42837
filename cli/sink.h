// `touchstone sink`: receives spans and answers questions about them.
#pragma once

#include "cli/verb.h"

namespace touchstone::cli {

Verb sink_verb();

}  // namespace touchstone::cli
