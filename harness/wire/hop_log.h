// What crossed a boundary of the run, span by span: hops.jsonl of a run folder, one line for each
// OTLP request that a gate answered. It outlives whatever is killed on either side, so that a lost
// span can be told to have been lost before or behind it. Thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/mutex.h"
#include "base/result.h"
#include "conformance/evidence.h"
#include "telemetry/span.h"

namespace touchstone::harness {

enum class HopAnswer {
  kTaken,     ///< acknowledged by whoever is behind the gate
  kRejected,  ///< acknowledged as rejected: a partial success
  kRefused,   ///< an error, to be sent again or given up
};

class HopLog final {
 public:
  /// ERRORS: kIo.
  static Result<std::unique_ptr<HopLog>> open(const std::string& path);
  explicit HopLog(std::unique_ptr<LineWriter> file) : file_(std::move(file)) {}

  /// `hop`: "subject/collector". In the kernel's hands when it returns. An empty batch says that
  /// the hop is counted.
  void add(const std::string& hop, HopAnswer answer, const telemetry::TraceBatch& batch);
  /// Distinct spans that went through hops to `to`, and of them those that were not taken.
  struct Count {
    int64_t taken = 0;
    int64_t rejected = 0;
  };
  /// nullopt: no such hop is counted.
  std::optional<Count> count(const std::string& to);
  /// ERRORS: kIo, the first that came.
  Status close();

 private:
  Mutex mutex_;
  std::unique_ptr<LineWriter> file_ GUARDED_BY(mutex_);  // null: closed
  Status first_problem_ GUARDED_BY(mutex_);
  std::map<std::string, conformance::HopSpans> seen_ GUARDED_BY(mutex_);  // by `to`
};

/// In the order of the first line of each hop, each span once. ERRORS: kNotFound, kMalformed with
/// `file:line`.
Result<std::vector<conformance::HopSpans>> read_hop_log(const std::string& path);

}  // namespace touchstone::harness
