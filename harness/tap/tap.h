// A transparent reverse proxy that writes the ledger of live clients, so that completeness can be
// proven for a server whose clients are not ours. Bodies pass unbuffered and unchanged; a request
// without a valid `traceparent` gets one; hop-by-hop headers are the proxy's own (RFC 9110, section
// 7.6.1). No content is kept. One I/O thread and one for the ledger. The public functions are
// thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "http/access.h"

namespace touchstone::harness {

struct TapOptions {
  std::string listen = "127.0.0.1:8001";   ///< HOST:PORT; port 0: any free one
  std::string upstream;                    ///< http[s]://HOST:PORT[/PREFIX]
  http::TlsOptions tls;                    ///< whom to trust upstream
  std::string ledger;                      ///< lines are added to what is there
  int64_t connections_max = 10'000;        ///< beyond: closed at once
  int64_t bodies_max_bytes = 536'870'912;  ///< of request bodies held until their lines are written
  /// Called from any thread with what whoever runs it should know.
  std::function<void(const std::string&)> notice = [](const std::string&) {};
};

struct TapCounters {
  int64_t exchanges = 0;      ///< passed on, of any kind
  int64_t written = 0;        ///< ledger lines
  int64_t lost = 0;           ///< ledger lines that could not be written
  int64_t bodies_unread = 0;  ///< lines without model and parameters: bodies_max_bytes was reached
  int64_t upstream_failures = 0;  ///< answered 502
};

class Tap final {
 public:
  /// `clock` outlives it. ERRORS: kInvalidArgument for an address or URL, kUnavailable when the
  /// address is taken, those of AppendFile::open().
  static Result<std::unique_ptr<Tap>> start(TapOptions options, const Clock& clock);
  /// Stops at once.
  ~Tap();
  Tap(const Tap&) = delete;
  Tap& operator=(const Tap&) = delete;

  uint16_t port() const;
  /// After a rotation: ledger lines go to the file that is at the path now.
  void reopen_ledger();
  /// Takes no new connection, lets exchanges under way end for at most `drain_ns`, writes the rest
  /// of the ledger. Called once.
  TapCounters stop(int64_t drain_ns);

 private:
  class Impl;
  explicit Tap(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace touchstone::harness
