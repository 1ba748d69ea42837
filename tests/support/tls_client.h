// A blocking TLS client for tests, close to the wire. Every wait has a deadline. Thread-compatible.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "tests/support/certificates.h"

namespace touchstone::testing {

class TlsClient final {
 public:
  struct Options {
    std::string ca_file;                     ///< whom to trust; empty: anybody
    const TestCertificate* shown = nullptr;  ///< the client's own; null: none
    int version_max = 0;                     ///< TLS1_2_VERSION say; 0: the newest
    int timeout_s = 20;
  };

  /// Connects to 127.0.0.1 and shakes hands; problem() tells whether it did.
  TlsClient(uint16_t port, const Options& options);
  ~TlsClient();
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;

  /// Empty while all is well.
  const std::string& problem() const { return problem_; }
  bool send(std::string_view bytes);
  /// Until `text` was seen; what came so far.
  std::string read_until(std::string_view text);
  /// Everything until the server's end; ended_well() tells whether it said that this was all.
  std::string read_to_end();
  bool ended_well() const { return ended_well_; }
  /// The common name in the server's certificate.
  std::string server_name() const;

 private:
  struct State;
  bool receive();

  std::unique_ptr<State> state_;
  std::string problem_;
  std::string received_;
  bool ended_well_ = false;
};

}  // namespace touchstone::testing
