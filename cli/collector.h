// `touchstone collector find|build|validate`.
#pragma once

#include "cli/verb.h"

namespace touchstone::cli {

Verb collector_verb();

}  // namespace touchstone::cli
