// What the parts of one run share: the suite, the run folder, ports, and what one part must know of
// another. Thread-compatible.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "harness/collector/config.h"
#include "harness/process/child.h"
#include "harness/process/ports.h"
#include "harness/stack/run.h"
#include "harness/suites/suite.h"
#include "harness/wire/hop_log.h"
#include "records/run_folder.h"

namespace touchstone::harness {

/// What others must know of a wire.
struct WireEnds {
  std::vector<uint16_t> ports = {};  ///< of its lanes: gRPC and HTTP, or HTTP alone
  std::function<void()> route = {};  ///< leads it to where its end is by now
};

struct RunContext {
  const Suite& suite;
  const RunOptions& options;
  records::RunFolderWriter& folder;
  const Supervision& supervision;

  PortReservation ports = {};
  CollectorPlaces places = {};
  std::map<std::string, uint16_t> subject_ports = {};    ///< of those that are launched
  std::map<std::string, std::string> subject_urls = {};  ///< where their paths begin
  uint16_t backend_port = 0;
  std::map<std::string, WireEnds> wires = {};      ///< by "FROM/TO"
  std::unique_ptr<HopLog> hops = {};               ///< null: not counted
  std::function<int64_t()> spans_in_backend = {};  ///< distinct ones; empty: no backend
  double spans_owed = 0;                           ///< by the answered requests
  std::optional<int64_t> load_start_ns = {};
  bool stopping = false;  ///< what ends now was told to

  /// Keys and trust are for servers that run elsewhere; what is launched here is open.
  const http::Access& access_of(const SubjectPlan& subject) const {
    static const http::Access kOpen;
    return subject.attach ? options.access : kOpen;
  }
  /// The first lane's port of a wire, or `direct` where there is none.
  uint16_t port_to(const std::string& wire, uint16_t direct, size_t lane = 0) const;
  void route_wires() const;
  /// Whether any fault is of this kind of target and acts on the part.
  bool has_fault(FaultKind::Target target, const std::string& part) const;
  /// A folder of the part's own in the run folder.
  std::string disk_of(const std::string& part) const;
  void say(const std::string& text) const;
  void note(const std::string& text) { folder.manifest().notes.push_back(text); }
  /// `path` is in the folder, and not there.
  void miss(const std::string& path, const std::string& reason);
  Status check_signals() const;
  /// "logs/NAME.log" in the folder.
  std::string log_of(const std::string& part) const;

  /// Runs `attempt` again when another program took a port meanwhile; it then takes new ones.
  Status with_free_ports(const std::function<Status()>& attempt);
  /// New ports for the Collector and for every launched subject.
  Status choose_ports();

  /// Writes down that a part ended by itself. Once a part: a later call says nothing new.
  void note_death(const std::string& part, const std::string& title, const ExitStatus& status);
  bool died(const std::string& part) const;
};

}  // namespace touchstone::harness
