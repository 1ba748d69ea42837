// An OTLP/gRPC receiver in this process: the stand-in for a Collector where none can be had. It
// keeps nothing; what is done with a batch is its owner's. Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "telemetry/span.h"

namespace touchstone::telemetry {

/// One request of a sender.
struct OtlpExport {
  TraceBatch batch;
  std::vector<std::pair<std::string, std::string>> headers;  ///< gRPC metadata, names in lower case
};

/// The answer to it; the default takes everything.
struct OtlpAnswer {
  int grpc_code = 0;  ///< other than 0: refused with this status code
  std::string message = {};
  std::optional<int64_t> retry_after_ns = {};  ///< sent as RetryInfo with a refusal
  int64_t rejected_spans = 0;  ///< of a request that is taken: answered as partial success
};

class OtlpReceiver {
 public:
  struct Options {
    std::string address = "127.0.0.1";
    int port = 0;  ///< 0: any free one
    /// Called on threads of the receiver, several at once. What it has taken is acknowledged.
    std::function<OtlpAnswer(OtlpExport)> take;
  };
  /// ERRORS: kIo when the port cannot be had.
  static Result<std::unique_ptr<OtlpReceiver>> start(const Options& options);
  virtual ~OtlpReceiver() = default;

  virtual int port() const = 0;
  virtual std::string endpoint() const = 0;  ///< "http://127.0.0.1:PORT"
  /// Stops listening and waits for the calls of `take`. The destructor does it too.
  virtual void stop() = 0;
};

}  // namespace touchstone::telemetry
