// `touchstone load`: load on any OpenAI-compatible server, recorded as a run folder.
#pragma once

#include "cli/verb.h"

namespace touchstone::cli {

Verb load_verb();

}  // namespace touchstone::cli
