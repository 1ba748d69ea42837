// A run folder: what one measured or simulated run left, with run.json as its table of contents.
// Who writes one holds a lock, so that two runs into one folder are one clear message; only a
// folder that carries our marker is ever cleared. A folder without run.json (of another tool or an
// older version) reads too. Thread-compatible.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/file_lock.h"
#include "base/result.h"

namespace touchstone::records {

/// File names in a run folder.
namespace run_files {
inline constexpr char kManifest[] = "run.json";
inline constexpr char kMarker[] = ".touchstone-run";  ///< whose folder it is; locked while written
inline constexpr char kServer[] = "server.json";      ///< engine, version, flags, model, hardware
inline constexpr char kLedger[] = "requests.jsonl";
inline constexpr char kSpans[] = "spans.otlp.jsonl";
inline constexpr char kMetricsBefore[] = "metrics_before.txt";        ///< the subject's, before and
inline constexpr char kMetrics[] = "metrics.txt";                     ///< after the load
inline constexpr char kCollectorMetrics[] = "collector_metrics.txt";  ///< after the last span
inline constexpr char kSteps[] = "steps.jsonl";
inline constexpr char kRecords[] = "records.jsonl";
inline constexpr char kSuite[] = "suite.yaml";  ///< a copy of the suite that was run
inline constexpr char kHops[] = "hops.jsonl";   ///< which spans crossed which boundary
inline constexpr char kDisks[] = "disk";        ///< folder: what parts keep between two starts
inline constexpr char kLogs[] = "logs";         ///< folder: what the parts printed
}  // namespace run_files

/// "metrics.txt" of the subject "canary" is "metrics.canary.txt"; of "" (the only one) as it is.
std::string file_of_subject(const std::string& name, const std::string& subject);

inline constexpr int64_t kRunSchemaVersion = 1;

struct RunFileDigest {
  std::string name;  ///< relative to the folder
  std::string sha256;
  int64_t bytes = 0;
};

/// Of any file; `name` is the path. ERRORS: kIo.
Result<RunFileDigest> file_digest(const std::string& path);

struct RunFault {
  std::string text;      ///< as it was asked for: "kill:collector@3s"
  bool applied = false;  ///< false: it came too late, or its target was not there
  std::string problem;   ///< why it was not applied
};

/// A part that ended by itself, or by a fault, before it was stopped.
struct RunDeath {
  std::string part;    ///< "collector", or a subject's name
  std::string status;  ///< "signal 9 (Killed)"
  int64_t at_ns = 0;   ///< from the start of the load
};

/// A file that the run could not leave.
struct RunMissing {
  std::string file;  ///< relative to the folder
  std::string reason;
};

/// A completion that is shown to the reader.
struct RunSample {
  std::string title;
  std::string prompt;
  std::string completion;
};

/// run.json.
struct RunManifest {
  int64_t schema = kRunSchemaVersion;
  std::string verb;                   ///< "check", "load", "simulate"
  std::string name;                   ///< of the suite, or what the load was
  std::string suite;                  ///< path that it was read from; a copy is kSuite
  std::vector<std::string> profiles;  ///< judged by, names or paths
  std::optional<uint64_t> seed;
  bool complete = false;                        ///< the run came to its end
  std::map<std::string, std::string> versions;  ///< "touchstone", "collector", "subject", …
  std::map<std::string, std::string> digests;   ///< sha256 of inputs: "workload", …
  std::vector<std::string> notes;
  std::vector<RunFault> faults;
  std::vector<RunDeath> deaths;
  std::vector<RunMissing> missing;
  std::optional<int64_t> load_start_unix_ns;  ///< what the ledger's `arrival_s` count from
  /// Every span that the Collector accepted had left it before it was stopped; nullopt: unknown.
  std::optional<bool> collector_drained;
  std::vector<RunSample> samples;
  std::vector<RunFileDigest> files;

  /// Excuses `file`, with a note for the reader.
  void miss(const std::string& file, const std::string& reason);
};

struct RunFolder {
  std::string path;
  std::optional<RunManifest> manifest;

  std::string file(const std::string& name) const { return path + "/" + name; }
  bool has(const std::string& name) const;
  /// The file `name` of each subject that has one, by subject; "" is the only subject of a run.
  std::vector<std::pair<std::string, std::string>> of_subjects(const std::string& name) const;
  /// kSpans and what its rotation left beside it (spans.otlp-<date>….jsonl), sorted.
  std::vector<std::string> span_files() const;
};

class RunFolderWriter final {
 public:
  enum class Former {
    kRefuse,   ///< a folder that holds anything is an error
    kReplace,  ///< a former run of this program makes room
  };
  /// Makes and locks the folder. ERRORS: kUnavailable when another run writes into it,
  /// kInvalidArgument for an empty path and for a folder with files that are not ours (or with a
  /// run, under kRefuse), kIo.
  static Result<std::unique_ptr<RunFolderWriter>> create(const std::string& folder, Former former);

  const std::string& path() const { return path_; }
  std::string file(const std::string& name) const { return path_ + "/" + name; }
  RunManifest& manifest() { return manifest_; }

  /// Digests every file and writes run.json with `complete` set. The lock stays until this goes, so
  /// that the run can be judged undisturbed. ERRORS: kIo.
  Status finish();
  /// What was written, for judging it under the same lock.
  RunFolder written() const { return {path_, manifest_}; }
  /// Removes the folder and all that was written.
  void discard();

 private:
  RunFolderWriter(std::string path, FileLock lock)
      : path_(std::move(path)), lock_(std::move(lock)) {}
  std::string path_;
  FileLock lock_;
  RunManifest manifest_;
};

/// ERRORS: kNotFound, kUnavailable when a run is being written into it or never came to its end
/// (`complete` included), kInvalidArgument `run.json:line: field: got, expected`.
Result<RunFolder> open_run_folder(const std::string& path);

/// What differs from the manifest: files that were altered, removed or added, one line each. Empty
/// when all is as it was written, or when there is no manifest. Who rewrites the manifest too is
/// not found out. ERRORS: kIo.
Result<std::vector<std::string>> altered_files(const RunFolder& folder);

}  // namespace touchstone::records
