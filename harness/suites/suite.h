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
#include "harness/faults/fault.h"
#include "harness/load/generator.h"
#include "harness/suites/matrix.h"

namespace touchstone::harness {

/// The newest version; 1, which knew one subject and one load, is still read.
inline constexpr int kSuiteSchemaVersion = 2;

/// A program that the harness starts. Places in `command` and `environment`:
/// ${touchstone} this program · ${subject.port} a free port · ${subject.name} · ${subject.disk} a
/// folder that it keeps over restarts · ${collector.otlp_grpc} and ${collector.otlp_http} URLs, the
/// latter also as http/protobuf and http/json · ${run} the run folder · ${suite} the suite's
/// folder.
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

/// Its name when a suite names none.
inline constexpr char kSubject[] = "subject";
/// What else a fault's target can name; no subject may have one of these names.
inline constexpr char kCollector[] = "collector";
inline constexpr char kBackend[] = "backend";
inline constexpr char kClient[] = "client";

struct SubjectPlan {
  std::string name = kSubject;          ///< unique in the suite
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

/// This program as an OTLP/gRPC receiver behind the Collector, at ${env:BACKEND_ENDPOINT} of its
/// configuration. What it writes are the spans of the run.
struct BackendPlan {
  int64_t ready_within_ns = 30 * kNsPerSecond;
  int64_t stop_within_ns = 20 * kNsPerSecond;
};

struct LoadPlan {
  std::string subject = kSubject;  ///< that it goes to
  std::string workload;            ///< path
  std::string model;               ///< name in the requests; empty: the first that is served
  uint64_t seed = 0;
  int64_t sampled_per_million = 1'000'000;  ///< requests whose traceparent says sampled
  int64_t timeout_ns = 120 * kNsPerSecond;
  std::optional<int64_t> clients;    ///< closed loop of so many; nullopt: at the workload's times
  ClientManners manners;             ///< slow and vanishing clients
  std::vector<std::string> samples;  ///< requests whose completion the report shows
};

struct Suite {
  std::string text;  ///< the file's, with the words of the cell in their places
  std::string name;
  std::string title;
  std::string file;                   ///< as it was read
  std::string folder;                 ///< of the file, absolute
  std::vector<SubjectPlan> subjects;  ///< at least one
  CollectorPlan collector;
  std::optional<BackendPlan> backend;
  /// A receiver on each way of spans writes down which of them passed, so that a lost one can be
  /// told to have been lost before or behind it.
  bool count_hops = false;
  std::vector<LoadPlan> loads;        ///< at least one; they run at the same time
  std::vector<std::string> profiles;  ///< shipped names, or absolute paths
  std::string primary;                ///< one of them, whose figures stand for the run
  double answered_share = 1;          ///< of the requests, that must be answered as expected
  std::vector<conformance::Budget> budgets;
  std::vector<conformance::Suppression> suppressions;
  std::vector<Fault> faults;
};

/// The name by which files of a run tell subjects apart: empty when there is only one.
std::string file_name_of(const SubjectPlan& subject, const Suite& suite);

/// ERRORS: kNotFound, kInvalidArgument `file:line: field: got, expected`; files that the suite
/// names must exist. `cell`: of its matrix.
Result<Suite> read_suite(const std::string& path, const Cell& cell = {});
/// A copy of the suite `original` in a run folder, for judging: paths are relative to the original,
/// and what they name need not be there any more.
Result<Suite> read_recorded_suite(const std::string& path, const std::string& original);

/// ERRORS: kInvalidArgument when the target is no part that the suite starts.
Status check_target(const Fault& fault, const Suite& suite);

/// Puts `values` into the ${…} places of `text`. ERRORS: kInvalidArgument for an unknown place,
/// with the nearest known one, and for `${` without `}`.
Result<std::string> fill_places(const std::string& text,
                                const std::map<std::string, std::string>& values);

}  // namespace touchstone::harness
