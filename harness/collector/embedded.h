// What stands in when no real Collector can be had: an OTLP/gRPC receiver in this process that
// writes what it takes to a file as the Collector's file exporter would. The report says that it
// was used. Thread-compatible; the receiver has its own threads.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"

namespace touchstone::harness {

class EmbeddedCollector {
 public:
  /// Listens on 127.0.0.1:port. ERRORS: kIo for the port or the file.
  static Result<std::unique_ptr<EmbeddedCollector>> start(uint16_t port,
                                                          const std::string& spans_file);
  virtual ~EmbeddedCollector() = default;
  /// Returns when everything that was received is in the file. ERRORS: kIo, the first that came.
  virtual Status stop() = 0;
};

}  // namespace touchstone::harness
