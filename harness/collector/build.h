// Building the real OpenTelemetry Collector from its Go modules into the cache. Source: the
// Collector Builder v0.155.0; builder.yaml, go.mod and go.sum in harness/collector/otelcol pin
// every module. Thread-compatible.
#pragma once

#include <functional>
#include <string>

#include "base/result.h"
#include "harness/collector/find.h"
#include "harness/process/child.h"

namespace touchstone::harness {

struct CollectorBuild {
  std::string sources;  ///< folder with builder.yaml, go.mod, go.sum
  std::string cache;    ///< ${XDG_CACHE_HOME:-~/.cache}/touchstone
  bool force = false;   ///< build even when the cache has one
  std::function<void(const std::string&)> progress;
};

/// "go version go1.26.8 linux/amd64" → true when that is new enough to build with.
bool is_go_new_enough(const std::string& version_line);

/// Builds, or takes what the cache has. Two at once: the second waits for the first.
/// ERRORS: kUnavailable (no Go to be had, a step failed: the message ends with its last lines),
/// kCancelled, kIo.
Result<CollectorBinary> build_collector(const CollectorBuild& build,
                                        const Supervision& supervision);

}  // namespace touchstone::harness
