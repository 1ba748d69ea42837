// An OTLP receiver that stands before another one: what comes over gRPC, or over HTTP with protobuf
// or JSON, is decoded, may be refused, rejected in part or shifted in time, and is passed on over
// the same protocol. It answers when the one behind has answered, with its answer. Of gzip it
// knows nothing: HTTP requests with it get 415. Own threads. The public functions are thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "harness/wire/hop_log.h"

namespace touchstone::harness {

/// What a receiver answers instead of taking everything. The default takes everything.
struct AnswerFault {
  int http_status = 0;  ///< 429 or 503, over gRPC UNAVAILABLE; 0: what comes is passed on
  std::optional<int64_t> retry_after_ns;  ///< of a refusal; whole seconds over HTTP, rounded up
  int64_t reject_per_cent = 0;            ///< of the spans: named as rejected, not passed on
  int64_t shift_ns = 0;                   ///< added to every time of every span
  bool operator==(const AnswerFault&) const = default;
};

class OtlpGate final {
 public:
  struct Options {
    std::string hop;        ///< for the log: "subject/collector"
    HopLog* log = nullptr;  ///< may be null; outlives it
  };
  /// `clock` outlives it. ERRORS: kIo, kUnavailable when no port can be had.
  static Result<std::unique_ptr<OtlpGate>> start(const Options& options, const Clock& clock);
  ~OtlpGate();
  OtlpGate(const OtlpGate&) = delete;
  OtlpGate& operator=(const OtlpGate&) = delete;

  uint16_t grpc_port() const;
  uint16_t http_port() const;
  /// Whom to pass on to; 0: nobody is there, and senders are told to try again.
  void route(uint16_t grpc_port, uint16_t http_port);
  void set(const AnswerFault& fault);

 private:
  class Impl;
  explicit OtlpGate(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace touchstone::harness
