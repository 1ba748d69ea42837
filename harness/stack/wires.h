// Which wires a run has: only where a fault or a count of hops asks for one, so that everything
// else is as in production. Pure; thread-safe.
#pragma once

#include <string>
#include <vector>

#include "harness/faults/fault.h"
#include "harness/suites/suite.h"

namespace touchstone::harness {

struct WirePlan {
  std::string from;   ///< "client", a subject's name, "collector"
  std::string to;     ///< a subject's name, "collector", "backend"
  bool otlp = false;  ///< OTLP passes, over gRPC and HTTP; else HTTP requests
  bool gate = false;  ///< an OtlpGate stands behind the wire
  std::string name() const { return from + "/" + to; }
};

/// All that the suite could have, gates apart, in the order that requests and spans take.
std::vector<WirePlan> possible_wires(const Suite& suite);
/// Those that it has.
std::vector<WirePlan> wires_of(const Suite& suite, const std::vector<Fault>& faults);

}  // namespace touchstone::harness
