// `touchstone diff steps`: two runs, and the first decision of the scheduler that is not the same.
#pragma once

#include "cli/verb.h"

namespace touchstone::cli {

Verb diff_verb();

}  // namespace touchstone::cli
