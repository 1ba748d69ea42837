// An OTLP/gRPC receiver in this process: the other side in the exporter's tests, and the stand-in
// for a Collector where none can be had. Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "telemetry/span.h"

namespace touchstone::telemetry {

/// How the receiver answers the next requests; the default takes everything.
struct ReceiverBehaviour {
  int grpc_code = 0;  ///< other than 0: refuse with this status code
  std::string message = {};
  std::optional<int64_t> retry_after_ns = {};  ///< sent as RetryInfo with a refusal
  int64_t rejected_spans = 0;  ///< of a request that is taken: answered as partial success
  int64_t requests = 1;        ///< for how many requests; then the default again
};

class OtlpReceiver {
 public:
  struct Options {
    std::string address = "127.0.0.1";
    int port = 0;  ///< 0: any free one
    /// Called for each batch taken, one at a time, by a thread of the receiver.
    std::function<void(const TraceBatch&)> on_batch;
  };
  /// ERRORS: kIo when the port cannot be had.
  static Result<std::unique_ptr<OtlpReceiver>> start(const Options& options);
  virtual ~OtlpReceiver() = default;

  virtual int port() const = 0;
  virtual std::string endpoint() const = 0;  ///< "http://127.0.0.1:PORT"
  /// All taken so far, in order of arrival.
  virtual TraceBatch received() const = 0;
  virtual int64_t spans_received() const = 0;
  virtual int64_t requests_seen() const = 0;  ///< refused ones too
  /// Metadata of the latest request: the value of a header, nullopt without it.
  virtual std::optional<std::string> header(const std::string& name) const = 0;
  /// Waits until this many spans were taken; false when `timeout_ns` passed first.
  virtual bool wait_for_spans(int64_t count, int64_t timeout_ns) const = 0;
  virtual bool wait_for_requests(int64_t count, int64_t timeout_ns) const = 0;

  virtual void behave(const ReceiverBehaviour& behaviour) = 0;
  /// Keeps requests waiting until release().
  virtual void hold() = 0;
  virtual void release() = 0;
  /// Stops listening; requests that are held are refused. The destructor does it too.
  virtual void stop() = 0;
};

}  // namespace touchstone::telemetry
