// Where this machine's environment says Collectors and caches are. The only place of the harness's
// verbs that reads environment variables. Thread-compatible.
#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "harness/collector/find.h"
#include "harness/process/child.h"

namespace touchstone::cli {

/// ${XDG_CACHE_HOME:-~/.cache}/touchstone
std::string cache_folder();

/// `flag` is --collector; empty: not given.
harness::CollectorSearch collector_search(const std::string& flag);

/// Signals, guard and clock of a verb that starts processes, from first to last.
class Supervisor final {
 public:
  /// Call before any thread is started. ERRORS: kIo.
  static Result<std::unique_ptr<Supervisor>> start();
  const harness::Supervision& supervision() const { return supervision_; }
  harness::SignalWatch& signals() { return *signals_; }
  const Clock& clock() const { return clock_; }

 private:
  Supervisor(std::unique_ptr<harness::ProcessGuard> guard,
             std::unique_ptr<harness::SignalWatch> signals);
  RealClock clock_;
  std::unique_ptr<harness::ProcessGuard> guard_;
  std::unique_ptr<harness::SignalWatch> signals_;
  harness::Supervision supervision_;
};

}  // namespace touchstone::cli
