// The real Collector as a child process for tests; they skip aloud where none can be found. Set
// TOUCHSTONE_COLLECTOR to name one. Thread-compatible.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "harness/collector/config.h"
#include "harness/collector/find.h"
#include "harness/process/child.h"
#include "harness/process/ports.h"

namespace touchstone::testing {

/// Where this environment says Collectors are.
harness::CollectorSearch collector_search();

class RealCollector final {
 public:
  /// Runs `config`, a path, with the places of collector_environment() on free ports and `more`
  /// variables; files go below `folder`. Ready when its health says so.
  /// ERRORS: kUnavailable when there is no Collector with these components; those of waiting.
  static Result<std::unique_ptr<RealCollector>> start(const std::string& config,
                                                      const std::string& folder,
                                                      std::map<std::string, std::string> more = {});

  const harness::CollectorPlaces& places() const { return places_; }
  harness::ChildProcess& process() { return *process_; }
  /// SIGTERM; true when it ended well, with everything written.
  bool stop();
  /// SIGKILL, and a new process with the same configuration, ports and files.
  void kill() { process_->kill(); }
  Status start_again();
  /// A sum over its own counters with this name; nullopt: no such.
  std::optional<double> own_metric(const std::string& name) const;

 private:
  RealCollector() = default;

  const RealClock clock_;
  const harness::Supervision supervision_{clock_};
  harness::PortReservation ports_;
  harness::CollectorPlaces places_;
  harness::SpawnOptions spawn_;
  std::unique_ptr<harness::ChildProcess> process_;
};

}  // namespace touchstone::testing
