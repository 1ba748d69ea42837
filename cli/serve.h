// `touchstone serve`: vLLM's flags, as options of the reference engine's server.
#pragma once

#include "cli/verb.h"

namespace touchstone::cli {

Verb serve_verb();

}  // namespace touchstone::cli
