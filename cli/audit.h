// `touchstone audit`: judges recorded spans, and what else was recorded, against profiles.
#pragma once

#include "cli/verb.h"

namespace touchstone::cli {

Verb audit_verb();

}  // namespace touchstone::cli
