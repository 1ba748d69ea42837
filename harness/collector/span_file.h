// Spans as lines of a file, as the Collector's file exporter would write them: what was
// acknowledged is in the file. Thread-safe.
#pragma once

#include <string>

#include "base/mutex.h"
#include "base/result.h"
#include "harness/append_file.h"
#include "telemetry/export/otlp_receiver.h"
#include "telemetry/span.h"

namespace touchstone::harness {

class SpanFile final {
 public:
  explicit SpanFile(std::string path) : file_(std::move(path)) {}

  /// Opens the file, or makes it; lines are added to what is there. ERRORS: kNotFound, kIo.
  Status open();
  /// Adds the batch, or refuses it so that its sender tries again: the disk may have room then.
  telemetry::OtlpAnswer write(const telemetry::TraceBatch& batch);
  /// The first that went wrong, if anything did.
  Status problem() const;

 private:
  mutable Mutex mutex_;
  AppendFile file_ GUARDED_BY(mutex_);
  Status first_problem_ GUARDED_BY(mutex_);
};

}  // namespace touchstone::harness
