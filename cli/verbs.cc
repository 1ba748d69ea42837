// The table of verbs: what stands here is what the program can do.
#include <vector>

#include "cli/audit.h"
#include "cli/bench.h"
#include "cli/calibrate.h"
#include "cli/check.h"
#include "cli/collector.h"
#include "cli/diff.h"
#include "cli/load.h"
#include "cli/plan.h"
#include "cli/profile.h"
#include "cli/report.h"
#include "cli/serve.h"
#include "cli/simulate.h"
#include "cli/sink.h"
#include "cli/sweep.h"
#include "cli/tap.h"
#include "cli/verb.h"
#include "cli/workload.h"

namespace touchstone::cli {

std::vector<Verb> all_verbs() {
  return {
      serve_verb(), check_verb(),     audit_verb(),     profile_verb(),
      load_verb(),  simulate_verb(),  collector_verb(), report_verb(),
      tap_verb(),   calibrate_verb(), workload_verb(),  plan_verb(),
      sweep_verb(), bench_verb(),     diff_verb(),      sink_verb(),
  };
}

}  // namespace touchstone::cli
