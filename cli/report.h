// `touchstone report`: renders a report.json again.
#pragma once

#include "cli/verb.h"

namespace touchstone::cli {

Verb report_verb();

}  // namespace touchstone::cli
