// `touchstone tap`. Thread-compatible.
#pragma once

#include "cli/verb.h"

namespace touchstone::cli {

Verb tap_verb();

}  // namespace touchstone::cli
