// `touchstone profile list|show|lint|diff`: the shipped profiles, and checking one's own.
#pragma once

#include "cli/verb.h"

namespace touchstone::cli {

Verb profile_verb();

}  // namespace touchstone::cli
