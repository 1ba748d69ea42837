// Recorded spans, from files and from backends, judged: all of them or those of a window of time.
// `audit` without its flags. Thread-compatible.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/result.h"
#include "conformance/evidence_reader.h"
#include "harness/backends/backend.h"

namespace touchstone::harness {

struct AuditSources {
  conformance::EvidencePaths paths;
  std::vector<BackendAddress> backends;
  /// Spans that begin in it, and requests that were sent in it. From a backend all spans of a trace
  /// come along, from a file those of the window alone.
  std::optional<TimeWindow> window;
};

/// A backend's losses leave their checks out, with a note each; so does a window when a check of
/// whole traces, or of counters, fails. ERRORS: those of the files and of the backends.
Result<conformance::JudgedFiles> audit(const AuditSources& sources, int64_t now_unix_ns,
                                       const std::vector<conformance::Profile>& profiles,
                                       const conformance::JudgeOptions& options);

}  // namespace touchstone::harness
