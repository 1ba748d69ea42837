// A small tracing backend in this process: OTLP over gRPC and HTTP (protobuf, JSON, gzip) in, the
// query APIs of query_api.h out, spans in bounded memory and, if wanted, as lines of a file. What
// it cannot keep it refuses, and the sender is told. The receivers have their own threads; the
// public functions are thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "harness/sink/span_store.h"

namespace touchstone::harness {

struct SinkOptions {
  std::string grpc = "127.0.0.1:4317";  ///< HOST:PORT; port 0: any free one
  /// Each takes POST /v1/traces and answers queries: 4318 as OTLP has it, 16686 as Jaeger.
  std::vector<std::string> http = {"127.0.0.1:4318", "127.0.0.1:16686"};
  int64_t memory_bytes_max = 268'435'456;
  WhenFull when_full = WhenFull::kDropOldest;
  std::string output;  ///< OTLP JSON lines are added to this file; empty: none
  /// Called from any thread with what whoever runs it should know: that it drops, that it refuses.
  std::function<void(const std::string&)> notice = [](const std::string&) {};
};

class Sink {
 public:
  /// `clock` outlives it. ERRORS: kInvalidArgument for an address, kIo or kUnavailable when one is
  /// taken, kNotFound or kIo of the file.
  static Result<std::unique_ptr<Sink>> start(const SinkOptions& options, const Clock& clock);
  virtual ~Sink() = default;

  virtual int grpc_port() const = 0;
  virtual std::vector<uint16_t> http_ports() const = 0;  ///< in the order of the options
  virtual SpanStoreCounters counters() const = 0;
  /// Takes nothing more and answers no more; what was acknowledged is in the file. ERRORS: the
  /// first that the file met.
  virtual Status stop() = 0;
};

}  // namespace touchstone::harness
