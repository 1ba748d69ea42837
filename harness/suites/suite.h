// A suite: which stack to start or attach to, what to ask of it, and what its telemetry must be.
// People write it in YAML (harness/suites/*.yaml, schema harness/suites/suite.schema.json); every
// error names file and line, unknown keys are errors, paths are relative to the file. Values.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "conformance/judge.h"

namespace touchstone::harness {

inline constexpr int kSuiteSchemaVersion = 1;

/// A program that the harness starts. Places in `command` and `environment`:
/// ${touchstone} this program · ${subject.port} a free port · ${collector.otlp_grpc} and
/// ${collector.otlp_http} URLs · ${run} the run folder · ${suite} the suite's folder.
struct LaunchSubject {
  std::vector<std::string> command;
  std::map<std::string, std::string> environment;
  std::string ready_path = "/health";
  int64_t ready_within_ns = 120 * kNsPerSecond;
  int64_t stop_within_ns = 60 * kNsPerSecond;
};

/// A server that runs already and exports to the suite's Collector by itself.
struct AttachSubject {
  std::string url;
  /// It is not stopped, so its last spans come when its exporter sends them (every 5 s by default):
  /// the Collector is kept until as many spans came as the answered requests owe, at most so long.
  int64_t flush_within_ns = 15 * kNsPerSecond;
};

struct SubjectPlan {
  std::string engine = "unknown";       ///< for server.json
  std::optional<LaunchSubject> launch;  ///< exactly one of the two
  std::optional<AttachSubject> attach;
  std::string metrics_path = "/metrics";
  std::string model_folder;  ///< its config.json goes into server.json; empty: unknown
};

struct CollectorPlan {
  std::string config;                              ///< path
  std::map<std::string, std::string> environment;  ///< added to what the harness sets
  /// Fixed ports for an attached subject, which must know them; 0: any free port.
  uint16_t otlp_grpc_port = 0;
  uint16_t otlp_http_port = 0;
  int64_t ready_within_ns = 30 * kNsPerSecond;
  int64_t stop_within_ns = 20 * kNsPerSecond;
};

struct LoadPlan {
  std::string workload;  ///< path
  std::string model;     ///< name in the requests
  uint64_t seed = 0;
  int64_t timeout_ns = 120 * kNsPerSecond;
  std::vector<std::string> samples;  ///< requests whose completion the report shows
};

/// Something that is done to the stack while the load runs.
struct Fault {
  enum class Kind { kKillCollector };
  Kind kind = Kind::kKillCollector;
  int64_t at_ns = 0;  ///< from the start of the load
  std::string text;   ///< as written: "kill-collector@3s"
};

struct Suite {
  std::string name;
  std::string title;
  std::string file;    ///< as it was read
  std::string folder;  ///< of the file, absolute
  SubjectPlan subject;
  CollectorPlan collector;
  LoadPlan load;
  std::vector<std::string> profiles;  ///< shipped names, or absolute paths
  std::vector<conformance::Budget> budgets;
  std::vector<conformance::Suppression> suppressions;
  std::vector<Fault> faults;
};

/// ERRORS: kNotFound, kInvalidArgument `file:line: field: got, expected`; files that the suite
/// names must exist.
Result<Suite> read_suite(const std::string& path);

/// "kill-collector@3s". ERRORS: kInvalidArgument.
Result<Fault> parse_fault(const std::string& text);

/// Puts `values` into the ${…} places of `text`. ERRORS: kInvalidArgument for an unknown place,
/// with the nearest known one, and for `${` without `}`.
Result<std::string> fill_places(const std::string& text,
                                const std::map<std::string, std::string>& values);

}  // namespace touchstone::harness
