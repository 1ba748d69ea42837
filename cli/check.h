// `touchstone check`: runs a suite and judges what its telemetry says.
#pragma once

#include "cli/verb.h"

namespace touchstone::cli {

Verb check_verb();

}  // namespace touchstone::cli
