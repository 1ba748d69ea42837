// The table of verbs: what stands here is what the program can do.
#include <vector>

#include "cli/check.h"
#include "cli/collector.h"
#include "cli/load.h"
#include "cli/simulate.h"
#include "cli/verb.h"

namespace touchstone::cli {

std::vector<Verb> all_verbs() {
  return {
      check_verb(),
      load_verb(),
      simulate_verb(),
      collector_verb(),
  };
}

}  // namespace touchstone::cli
